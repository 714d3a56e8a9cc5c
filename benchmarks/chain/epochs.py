"""The exact epoch beside one in float64: CPU time, and what floats get wrong.

Both start from the same `EpochInput` (sparse rows), use 64 validators and produce what a chain stores. "u16 differ" is
the share of stored u16 values that are not equal, "worst" the largest distance between two of them, "rao off" the same
of the emission for each TAO handed out, after one epoch and after 8 more whose bonds pass through their stored form.
The largest u16 distances are trusts of miners with next to no weight (a ratio of two tiny sums); the largest in rao
belong to the largest validators, whose dividends are sums of thousands of truncated products.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from figure import Bar, Figure
from floats import VECTORS, exact, plain
from registry import Found, Options, Table

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.sparse import SparseRows
from ranvier.chain.yuma import epoch

VALIDATORS: Final = 64
LATER: Final = 8
TAO: Final = 10**9
SIZES: Final = ((256, 1.0), (256, 0.1), (1024, 1.0), (1024, 0.1), (4096, 1.0), (4096, 0.1))
QUICK: Final = ((256, 1.0),)
BARS: Final = {256: Bar(5), 4096: Bar(200)}
FORMS: Final = (
    ("2024", False),
    ("2024", True),
    ("y2", False),
    ("y3", False),
    ("y3", True),
)
HEADS: Final = (
    "neurons",
    "density",
    "exact ms",
    "float64 ms",
    "u16 differ",
    "worst",
    "bonds differ",
    "rao/TAO off",
    f"after {LATER} more",
)


def run(options: Options) -> Found:
    """Times of every form at every size; the 2024 form beside floats."""
    sizes = QUICK if options.quick else SIZES
    rows = [_beside(subnet(n, density, options.seed), density, options.repeats) for n, density in sizes]
    figures = [figure for row in rows if (figure := _figure(row))]
    figures += _forms(options, sizes)
    return Found(
        figures, [Table("Exact integers beside float64, rules of 2024", HEADS, [row.line() for row in rows])]
    )


def subnet(n: int, density: float, seed: int) -> EpochInput:
    """A random subnet: log-normal stakes; weights around a common opinion of `density` of the uids."""
    rng = np.random.default_rng(seed)
    stake = np.zeros(n)
    stake[:VALIDATORS] = rng.lognormal(0, 1, VALIDATORS) * 1e13
    opinion = rng.random(n) * (rng.random(n) < density)
    weights = np.clip(opinion * rng.normal(1, 0.2, (VALIDATORS, n)), 0, None)
    weights = (weights / weights.max(axis=1, keepdims=True) * 65535).astype(np.uint16)
    return EpochInput(
        variant="2024",
        block=1000,
        last_update=(900,) * n,
        registered_at=(10,) * n,
        stake=[int(amount) for amount in stake],
        permits=[uid < VALIDATORS for uid in range(n)],
        weights=SparseRows.from_dense(np.arange(VALIDATORS), weights),
        bonds=SparseRows.empty(),
        emission=TAO,
        params=YumaParams(max_allowed_validators=VALIDATORS),
        last_step=640,
    )


@dataclass(frozen=True)
class _Beside:
    neurons: int
    density: float
    exact_ms: float
    float_ms: float
    u16_differ: float
    u16_worst: int
    bonds_differ: float
    rao_worst: int
    rao_later: int

    def line(self) -> tuple[str, ...]:
        return (
            str(self.neurons),
            f"{self.density:g}",
            f"{self.exact_ms:.2f}",
            f"{self.float_ms:.2f}",
            f"{self.u16_differ:.2%}",
            str(self.u16_worst),
            f"{self.bonds_differ:.2%}",
            str(self.rao_worst),
            str(self.rao_later),
        )


def _figure(row: _Beside) -> Figure | None:
    """The two sizes that have a bar, with full weights."""
    if row.density != 1 or row.neurons not in BARS:
        return None
    return Figure(
        f"exact epoch, {row.neurons} neurons x {VALIDATORS} validators, 2024",
        row.exact_ms,
        "ms",
        BARS[row.neurons],
        f"float64: {row.float_ms:.2f} ms, {row.u16_differ:.2%} of its u16 values differ",
    )


def _forms(options: Options, sizes: tuple[tuple[int, float], ...]) -> Iterator[Figure]:
    """The other forms of Yuma, with full weights and bonds from an epoch before."""
    barred = [n for n, density in sizes if n in BARS and density == 1]
    for n in barred:
        first = subnet(n, 1.0, options.seed)
        for variant, liquid in FORMS[1:]:
            given = replace(first, variant=variant, params=replace(first.params, liquid_alpha=liquid))
            given = replace(given, bonds=epoch(given).bonds)
            spent = least([lambda given=given: epoch(given)], options.repeats)[0]  # type: ignore[misc]
            name = f"{variant}, liquid alpha" if liquid else variant
            yield Figure(f"exact epoch, {n} neurons x {VALIDATORS} validators, {name}", spent, "ms", BARS[n])


def _beside(first: EpochInput, density: float, repeats: int) -> _Beside:
    """Both forms on the second epoch (bonds present), in turn."""
    given = replace(first, bonds=exact(first).rows)
    ours, theirs = exact(given), plain(given)
    apart = [np.abs(ours.vectors[name] - theirs.vectors[name]) for name in VECTORS]
    exact_ms, float_ms = least([lambda: epoch(given), lambda: plain(given)], repeats)
    return _Beside(
        neurons=given.size,
        density=density,
        exact_ms=exact_ms,
        float_ms=float_ms,
        u16_differ=float(np.mean([values != 0 for values in apart])),
        u16_worst=int(max(values.max() for values in apart)),
        bonds_differ=np.count_nonzero(ours.bonds != theirs.bonds) / max(1, np.count_nonzero(ours.bonds)),
        rao_worst=int(np.abs(ours.emission - theirs.emission).max()),
        rao_later=_later(first),
    )


def _later(first: EpochInput) -> int:
    """The largest distance in rao after LATER epochs, each form on bonds of its own.

    From the second epoch on every second validator weighs itself only, so its bonds fade, the case in which the
    chain's truncations add up.
    """
    ours, theirs = exact(first), plain(first)
    table = first.weights.to_dict()
    faded = SparseRows.from_dict({uid: {uid: 65535} if uid % 2 else row for uid, row in table.items()})
    for _ in range(LATER):
        ours = exact(replace(first, weights=faded, bonds=ours.rows))
        theirs = plain(replace(first, weights=faded, bonds=theirs.rows))
    return int(np.abs(ours.emission - theirs.emission).max())


def least(rivals: list[Callable[[], object]], repeats: int) -> list[float]:
    """The least CPU milliseconds of each, taken in turn."""
    times: list[list[float]] = [[] for _ in rivals]
    for _ in range(repeats):
        for spent, work in zip(times, rivals, strict=True):
            start = time.process_time()
            work()
            spent.append(time.process_time() - start)
    return [min(spent) * 1000 for spent in times]
