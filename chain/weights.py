"""The checks of `set_weights` and the form in which weights are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ranvier.chain.fixed import FRACTION, U16_MAX, ratio

_HALF = 1 << (FRACTION - 1)
_WIDE = 32_768


def max_upscale(values: Sequence[int]) -> tuple[int, ...]:
    """u16 values scaled so that the largest is 65535, rounded halves up in I32F32; all zero stays zero.

    Above 32768 the runtime divides first (65535 / max, truncated) and multiplies then, below it the other way
    round; the two differ in the last place, so both are kept.
    """
    largest = max(values, default=0)
    if largest == 0:
        return tuple(0 for _ in values)
    if largest > _WIDE:
        factor = ratio(U16_MAX, largest)
        return tuple([(value * factor + _HALF) >> FRACTION for value in values])
    return tuple([(ratio(value * U16_MAX, largest) + _HALF) >> FRACTION for value in values])


@dataclass(frozen=True)
class WeightsCall:
    """A `set_weights` call beside what the chain knows of its sender and subnet.

    `uid` is the sender's, None when its hotkey is not registered; `stake` and `minimum_stake` are rao; blocks
    are numbers or counts; `maximum` is the u16 limit of one weight in the sum of all, 65535 for none.
    """

    uids: Sequence[int]
    values: Sequence[int]
    version_key: int
    subnet_exists: bool
    neurons: int
    uid: int | None
    stake: int
    permit: bool
    last_update: int
    block: int
    minimum_stake: int = 0
    required_version: int = 0
    rate_limit: int = 100
    minimum_count: int = 1
    maximum: int = U16_MAX

    @property
    def self_weight(self) -> bool:
        """One single weight, on the sender itself: needs no permit, no minimum count, has no maximum."""
        return self.uid is not None and list(self.uids) == [self.uid]


def refuse_weights(call: WeightsCall) -> str | None:
    """The chain's own name of the first check that fails, in its order; None when all of them hold."""
    return _refuse_sender(call) or _refuse_row(call)


def _refuse_sender(call: WeightsCall) -> str | None:
    early = call.last_update != 0 and call.block < call.last_update + call.rate_limit
    checks = (
        (len(call.uids) != len(call.values), "WeightVecNotEqualSize"),
        (not call.subnet_exists, "SubNetworkDoesNotExist"),
        (len(call.uids) > call.neurons, "UidsLengthExceedUidsInSubNet"),
        (call.uid is None, "HotKeyNotRegisteredInSubNet"),
        (call.stake < call.minimum_stake, "NotEnoughStakeToSetWeights"),
        (
            call.required_version != 0 and call.version_key < call.required_version,
            "IncorrectWeightVersionKey",
        ),
        (early, "SettingWeightsTooFast"),
        (not (call.permit or call.self_weight), "NeuronNoValidatorPermit"),
    )
    return next((name for failed, name in checks if failed), None)


def _refuse_row(call: WeightsCall) -> str | None:
    needed = min(call.neurons, call.minimum_count)
    checks = (
        (len(set(call.uids)) != len(call.uids), "DuplicateUids"),
        (
            min(call.uids, default=0) < 0 or max(call.uids, default=-1) >= call.neurons,
            "UidVecContainInvalidOne",
        ),
        (not call.self_weight and len(call.uids) < needed, "WeightVecLengthIsLow"),
        (_exceeds(call), "MaxWeightExceeded"),
    )
    return next((name for failed, name in checks if failed), None)


def _exceeds(call: WeightsCall) -> bool:
    if call.self_weight or call.maximum == U16_MAX:
        return False
    stored = max_upscale(call.values)
    total = sum(stored)
    return total > 0 and ratio(max(stored), total) > ratio(call.maximum, U16_MAX)
