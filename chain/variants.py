"""The rules that differ between versions of Yuma; `yuma.epoch` holds the ones that do not.

To add one (Yuma 3, liquid alpha), write its functions and list it in `VARIANTS`: `bonds` is free to keep
bonds in another form, as it receives the raw stake voice and returns what is stored beside what is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ranvier.chain.epoch_input import EpochInput
from ranvier.chain.errors import MalformedEpoch
from ranvier.chain.fixed import ONE, Bits, divide, multiply, normalise, ratio

Flags = npt.NDArray[np.bool_]
_ONE = np.uint64(ONE)


@dataclass(frozen=True, eq=False)
class Frame:
    """The laid-out rows: `rows` are their uids, `voice` their share of active stake (I32F32 bits).

    `outdated[i, j]`: row i last set weights no later than uid j was (re)registered.
    """

    rows: npt.NDArray[np.int64]
    voice: Bits
    outdated: Flags


@dataclass(frozen=True)
class Variant:
    """One version of the rules.

    permits(input, stake share) -> new permits per uid; stale_bonds(input, frame) -> mask of old bonds to
    drop, shape broadcastable to (rows, n); bond_weights(input, weights, clipped) -> the weights that buy
    bonds; bonds(input, frame, bond weights, old bonds column-normalised, incentive) -> (bonds to store in [0,
    1], dividends per row, normalised). `owner_weighs_itself`: the subnet owner's self-weight counts.
    """

    owner_weighs_itself: bool
    permits: Callable[[EpochInput, Bits], Flags]
    stale_bonds: Callable[[EpochInput, Frame], Flags]
    bond_weights: Callable[[EpochInput, Bits, Bits], Bits]
    bonds: Callable[[EpochInput, Frame, Bits, Bits, Bits], tuple[Bits, Bits]]


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


def _clipped_weights(given: EpochInput, weights: Bits, clipped: Bits) -> Bits:
    return clipped


def _penalised_weights(given: EpochInput, weights: Bits, clipped: Bits) -> Bits:
    """W + penalty * (clipped - W). The second term is never positive; the runtime floors it downwards."""
    penalty = ratio(given.params.bonds_penalty, 65535)
    if penalty == ONE:
        return clipped
    excess = weights - clipped
    # -floor(-x) is the ceiling of x; no excess times penalty reaches 2**64 as penalty is below one here.
    return weights - ((excess * np.uint64(penalty) + np.uint64(ONE - 1)) >> np.uint64(32))


def _moving_bonds(
    given: EpochInput, frame: Frame, weights: Bits, held: Bits, incentive: Bits
) -> tuple[Bits, Bits]:
    """Original bonds: bought by weight times stake, an exponential moving average, dividends by incentive."""
    alpha = ONE - ratio(given.params.bonds_moving_average, 1_000_000)
    bought = normalise(multiply(weights, frame.voice[:, None]), axis=0)
    moved = multiply(bought, np.uint64(alpha)) + multiply(held, np.uint64(ONE - alpha))
    moved = normalise(moved, axis=0)
    dividends = normalise(multiply(moved, incentive).sum(axis=1, dtype=np.uint64))
    stored = divide(moved, moved.max(axis=0, initial=0)) if len(moved) else moved
    return stored, dividends


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "2024": Variant(
            owner_weighs_itself=False,
            permits=_permits_2024,
            stale_bonds=_stale_2024,
            bond_weights=_clipped_weights,
            bonds=_moving_bonds,
        ),
        "y2": Variant(
            owner_weighs_itself=True,
            permits=_permits_y2,
            stale_bonds=_stale_y2,
            bond_weights=_penalised_weights,
            bonds=_moving_bonds,
        ),
    }
)
