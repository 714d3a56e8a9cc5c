"""What a place costs: registration by burn or work, and the lock for a new subnet. Prices are rao."""

from __future__ import annotations

from dataclasses import dataclass, replace

_FRACTION = 18
_ONE = 1 << _FRACTION
_U64_MAX = (1 << 64) - 1
_Q32 = 1 << 32


def adjust_price(
    current: int, minimum: int, maximum: int, alpha: int, registrations: int, target: int
) -> int:
    """The price (or PoW difficulty) after an adjustment interval of 2024, in the runtime's I110F18.

    new = alpha * current + (1 - alpha) * current * (registrations + target) / (2 * target), within the
    limits; `alpha` is a u64 ratio (2**64 - 1 is one). `target` is the wanted number of registrations, at
    least 1.
    """
    smoothing = (alpha << _FRACTION) // _U64_MAX
    price = current << _FRACTION
    demanded = price * (registrations + target) // (2 * target)
    mixed = ((smoothing * price) >> _FRACTION) + (((_ONE - smoothing) * demanded) >> _FRACTION)
    return min(max(mixed >> _FRACTION, minimum), maximum)


@dataclass(frozen=True)
class Demand:
    """A subnet's two prices with their limits, and what was registered in the interval that ends."""

    burn: int
    minimum_burn: int
    maximum_burn: int
    difficulty: int
    minimum_difficulty: int
    maximum_difficulty: int
    alpha: int
    target: int
    by_burn: int
    by_work: int


def adjust_prices(demand: Demand) -> Demand:
    """Both prices after an interval (2024), counters at zero.

    Above the target the way that was used more becomes dearer; otherwise the one that was used less becomes
    cheaper (both when they were used alike).
    """
    crowded = demand.by_burn + demand.by_work > demand.target
    if crowded:
        on_burn, on_work = demand.by_burn >= demand.by_work, demand.by_work >= demand.by_burn
    else:
        on_burn, on_work = demand.by_work >= demand.by_burn, demand.by_burn >= demand.by_work
    total = demand.by_burn + demand.by_work
    burn, difficulty = demand.burn, demand.difficulty
    if on_burn:
        burn = adjust_price(
            burn, demand.minimum_burn, demand.maximum_burn, demand.alpha, total, demand.target
        )
    if on_work:
        limits = demand.minimum_difficulty, demand.maximum_difficulty
        difficulty = adjust_price(difficulty, *limits, demand.alpha, total, demand.target)
    return replace(demand, burn=burn, difficulty=difficulty, by_burn=0, by_work=0)


def raise_price(price: int, minimum: int, maximum: int, percent: int = 126) -> int:
    """The price after a registration by the rules of 2026: times percent / 100, within the limits."""
    return min(max(price * percent // 100, minimum), maximum)


def decay_factor(half_life: int) -> int:
    """The largest Q32 factor whose `half_life`-th power is at most one half; one (no decay) for 0."""
    if half_life == 0:
        return _Q32
    low, high = 0, _Q32
    while high - low > 1:
        middle = (low + high) // 2
        if _power(middle, half_life) <= _Q32 // 2:
            low = middle
        else:
            high = middle
    return low


def decay_price(price: int, minimum: int, maximum: int, factor: int) -> int:
    """The price one block later (2026 rules); `factor` is what `decay_factor` made of the half-life."""
    return min(max((price * factor) >> 32, minimum), maximum)


def _power(base: int, exponent: int) -> int:
    """Q32 power by squaring, each product floored."""
    result = _Q32
    while exponent:
        if exponent & 1:
            result = (result * base) >> 32
        base = (base * base) >> 32
        exponent >>= 1
    return result


def lock_cost(last_lock: int, last_block: int | None, block: int, minimum: int, interval: int) -> int:
    """Rao to lock for a new subnet: twice the last lock, less with each block, at least `minimum`.

    It falls by floor(last_lock / interval) a block. `last_block` is the block of the last subnet
    registration, None before the first (then nothing doubles).
    """
    multiplier, since = (1, 0) if last_block is None else (2, last_block)
    return max(minimum, last_lock * multiplier - last_lock // interval * (block - since))
