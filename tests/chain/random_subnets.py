"""Random inputs of an epoch, small enough to hit every corner."""

from __future__ import annotations

from hypothesis import strategies as st

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.sparse import SparseRows
from ranvier.chain.variants import VARIANTS

U16S = st.integers(0, 65535)
BLOCKS = st.integers(0, 12)


@st.composite
def subnets(draw: st.DrawFn, most: int = 7) -> EpochInput:
    n = draw(st.integers(1, most))
    uids = st.integers(0, n - 1)
    rows = st.dictionaries(uids, st.dictionaries(uids, U16S, max_size=n), max_size=n)
    per_uid = lambda values: draw(st.lists(values, min_size=n, max_size=n))  # noqa: E731
    stakes = st.one_of(st.sampled_from([0, 1, 10**9]), st.integers(0, 3 * 10**15))
    params = YumaParams(
        kappa=draw(st.sampled_from([0, 1, 32767, 40000, 65535])),
        activity_cutoff=draw(st.integers(0, 12)),
        max_allowed_validators=draw(st.integers(1, most)),
        bonds_moving_average=draw(st.sampled_from([0, 500_001, 900_000, 1_000_000])),
        bonds_penalty=draw(st.sampled_from([0, 1, 30000, 65534, 65535])),
        tempo=draw(st.integers(1, 5)),
        owner_uid=draw(st.none() | uids),
        stake_threshold=draw(st.sampled_from([0, 10**9])),
        liquid_alpha=draw(st.booleans()),
        alpha_low=draw(st.sampled_from([0, 1638, 45875])),
        alpha_high=draw(st.sampled_from([45875, 58982, 65535])),
        alpha_sigmoid_steepness=draw(st.sampled_from([0, 250, 1000, 4177, 4178, 32767])),
    )
    return EpochInput(
        variant=draw(st.sampled_from(list(VARIANTS))),
        block=draw(st.integers(0, 20)),
        last_update=per_uid(BLOCKS),
        registered_at=per_uid(BLOCKS),
        stake=per_uid(stakes),
        permits=per_uid(st.booleans()),
        weights=SparseRows.from_dict(draw(rows)),
        bonds=SparseRows.from_dict(draw(rows)),
        emission=draw(st.integers(0, 10**12)),
        params=params,
        last_step=draw(BLOCKS),
        commits=draw(st.dictionaries(uids, BLOCKS, max_size=n)),
    )
