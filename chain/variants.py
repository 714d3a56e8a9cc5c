"""The rules that differ between versions of Yuma; `yuma.epoch` holds the ones that do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from ranvier.chain.bonds import moving_bonds, penalised_weights, yuma3_bonds
from ranvier.chain.epoch_input import EpochInput
from ranvier.chain.errors import MalformedEpoch
from ranvier.chain.fixed import Bits, Flags
from ranvier.chain.frame import Agreement, Frame


@dataclass(frozen=True)
class Variant:
    """One version of the rules.

    permits(input, stake share) -> new permits per uid; stale_bonds(input, frame) -> mask of old bonds to drop, shape
    broadcastable to (rows, n); buying(input, agreement) -> the weights that buy bonds; bonds(input, frame, agreement,
    weights that buy, stored bonds) -> (bonds to store in [0, 1], dividends per row, normalised). `late`: the owner's
    self-weight counts, stake below the threshold does not, nor do weights for a uid that came after a live commit.
    """

    late: bool
    permits: Callable[[EpochInput, Bits], Flags]
    stale_bonds: Callable[[EpochInput, Frame], Flags]
    buying: Callable[[EpochInput, Agreement], Bits]
    bonds: Callable[[EpochInput, Frame, Agreement, Bits, Bits], tuple[Bits, Bits]]


def variant_named(name: str) -> Variant:
    """The rules by name. Raises `MalformedEpoch` listing the known ones."""
    try:
        return VARIANTS[name]
    except KeyError:
        raise MalformedEpoch(f"no Yuma variant {name!r}; use one of {', '.join(VARIANTS)}") from None


def _permits_2024(given: EpochInput, share: Bits) -> Flags:
    """The top K by stake; of equals the lower uid loses. Everyone while n < K."""
    permits = np.ones(given.size, dtype=np.bool_)
    surplus = given.size - given.params.max_allowed_validators
    if surplus > 0:
        permits[np.argsort(share, kind="stable")[:surplus]] = False
    return permits


def _permits_y2(given: EpochInput, share: Bits) -> Flags:
    """As in 2024, but never without stake; the owner always."""
    permits = _permits_2024(given, share) & (share > 0)
    if given.params.owner_uid is not None:
        permits[given.params.owner_uid] = True
    return permits


def _stale_2024(given: EpochInput, frame: Frame) -> Flags:
    return frame.outdated


def _stale_y2(given: EpochInput, frame: Frame) -> Flags:
    """Whole columns: bonds to a uid that was (re)registered since the last epoch."""
    last = given.last_step + 1 if given.last_step else max(0, given.block - given.params.tempo)
    return np.broadcast_to(last <= given.registrations, frame.outdated.shape)


def _clipped_weights(given: EpochInput, agreed: Agreement) -> Bits:
    return agreed.clipped


_Y2 = Variant(
    late=True,
    permits=_permits_y2,
    stale_bonds=_stale_y2,
    buying=penalised_weights,
    # The runtime of 2026 heeds liquid alpha under Yuma 3 only.
    bonds=partial(moving_bonds, liquid=False),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "2024": Variant(
            late=False,
            permits=_permits_2024,
            stale_bonds=_stale_2024,
            buying=_clipped_weights,
            bonds=partial(moving_bonds, liquid=True),
        ),
        "y2": _Y2,
        "y3": Variant(
            late=True,
            permits=_permits_y2,
            stale_bonds=_stale_y2,
            buying=penalised_weights,
            bonds=yuma3_bonds,
        ),
    }
)
