"""Yuma in plain Python integers, entry by entry and in the runtime's own order: what the vectorised one must equal."""

from __future__ import annotations

from math import e, log2
from typing import Any

from ranvier.chain.epoch_input import EpochInput, YumaParams

ONE = 1 << 32
LIMIT = 1 << 63
Table = dict[tuple[int, int], int]


def mul(a: int, b: int) -> int:
    return (a * b) >> 32


def div(a: int, b: int) -> int:
    return (a << 32) // b if b else 0


def normal(values: list[int]) -> list[int]:
    return [div(value, sum(values)) for value in values]


def by_row(table: Table, n: int) -> Table:
    sums = [sum(v for (i, _), v in table.items() if i == row) for row in range(n)]
    return {(i, j): div(v, sums[i]) for (i, j), v in table.items()}


def by_column(table: Table, n: int, pick: Any = sum) -> Table:
    sums = [pick([v for (_, j), v in table.items() if j == column] or [0]) for column in range(n)]
    return {(i, j): div(v, sums[j]) for (i, j), v in table.items()}


def plain_median(stake: list[int], scores: list[int], majority: int) -> int:
    """The runtime's own recursive partition, not a sort."""
    voices = [i for i, s in enumerate(stake) if s > 0]
    if not voices:
        return 0
    weight = dict(zip(voices, normal([stake[i] for i in voices]), strict=True))
    total = sum(weight.values())
    minority, members, low, high = total - majority, voices, 0, total
    while True:
        pivot = scores[members[len(members) // 2]]
        lower = [i for i in members if scores[i] < pivot]
        upper = [i for i in members if scores[i] > pivot]
        below = low + sum(weight[i] for i in lower)
        above = high - sum(weight[i] for i in upper)
        if below <= minority < above:
            return pivot
        if minority < below and lower:
            members, high = lower, below
        elif above <= minority and upper:
            members, low = upper, above
        else:
            return pivot


def whole_exp(x: int) -> int | None:
    """substrate_fixed's exp of I32F32 bits; None where it fails."""
    if x in (0, ONE):
        return int(e * (1 << 23)) << 9 if x else ONE
    size = abs(x)
    total, term = size + ONE, size
    for index in range(2, 32):
        term = mul(term, size)
        if term >= LIMIT:
            return None
        term //= index
        total += term
        if total >= LIMIT:
            return None
    return div(ONE, total) if x < 0 else total


def whole_ln(x: int) -> int:
    """Its ln, through log2 bit by bit; 0 where it fails."""
    if x <= 0:
        return 0
    if x < ONE:
        return -whole_ln(div(ONE, x))
    bits, rounded = 0, lambda v: (v >> 1) + (v & 1)
    while x >= 2 * ONE:
        bits, x = bits + 1, rounded(x)
    bits <<= 32
    if x != ONE:
        for place in range(31, -1, -1):
            x = mul(x, x)
            if x >= 2 * ONE:
                bits, x = bits | 1 << place, rounded(x)
    return div(bits, int(log2(e) * (1 << 23)) << 9)


def saturated(x: int) -> int:
    return max(-LIMIT, min(LIMIT - 1, x))


def towards_zero(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def sigmoid(x: int) -> int:
    return div(ONE, ONE + (whole_exp(x) or 0))


def alphas_2024(consensus: list[int], p: YumaParams) -> list[int] | None:
    ranked = sorted(consensus)

    def quantile(share: float) -> int:
        at = share * (len(ranked) - 1)
        low, high = ranked[int(at)], ranked[-int(-at // 1)]
        return low + mul(high - low, int((at - int(at)) * ONE))

    above, below = quantile(0.75), quantile(0.25)
    if above == 0:
        return None
    low, high = div(p.alpha_low, 65535), div(p.alpha_high, 65535)
    slope = start = 0
    if above > below and low and high:
        odds = whole_ln(div(ONE, low) - ONE)
        slope = saturated(towards_zero((whole_ln(div(ONE, high) - ONE) - odds) << 32, below - above))
        start = saturated(odds + saturated(mul(slope, below)))
    found = [sigmoid(saturated(start - saturated(mul(slope, c)))) for c in consensus]
    return [max(low, min(high, alpha)) for alpha in found]


def alpha_of_bond(weight: int, bond: int, consensus: int, p: YumaParams) -> int:
    low, high = div(p.alpha_low, 65535), div(p.alpha_high, 65535)
    apart = max(0, weight - consensus) if weight >= bond else bond - weight
    slope = -((p.alpha_sigmoid_steepness << 32) // 100)
    part = sigmoid(mul(slope, apart - ONE // 2))
    return max(low, min(high, low + mul(part, high - low)))


def yuma3(g: EpochInput, base: Table, held: Table, consensus: list[int]) -> Table:
    p = g.params
    held = {key: div(b, 65535) >> 32 for key, b in held.items()}
    if p.liquid_alpha and any(consensus):
        alpha = {key: alpha_of_bond(w, held.get(key, 0), consensus[key[1]], p) for key, w in base.items()}
        return {
            key: min(ONE, mul(ONE - alpha[key], held.get(key, 0)) + mul(alpha[key], w))
            for key, w in base.items()
        }
    alpha_all = ONE - (p.bonds_moving_average << 32) // 1_000_000
    return {
        key: mul(alpha_all, base.get(key, 0)) + mul(ONE - alpha_all, held.get(key, 0))
        for key in {**base, **held}
    }


def original(
    g: EpochInput, base: Table, held: Table, voice: list[int], consensus: list[int], *, liquid: bool
) -> Table:
    n, p = len(voice), g.params
    held = by_column(held, n)
    bought = by_column({(i, j): mul(w, voice[i]) for (i, j), w in base.items()}, n)
    alpha = [ONE - (p.bonds_moving_average << 32) // 1_000_000] * n
    if liquid and any(consensus):
        alpha = alphas_2024(consensus, p) or alpha
    moved = {
        (i, j): mul(alpha[j], bought.get((i, j), 0)) + mul(ONE - alpha[j], held.get((i, j), 0))
        for i, j in {**bought, **held}
    }
    return by_column(moved, n)


def penalised(weights: Table, consensus: list[int], penalty: int) -> Table:
    """The weights that buy, with the entries that the runtime's sparse rows keep."""
    clipped = {(i, j): min(w, consensus[j]) for (i, j), w in weights.items() if consensus[j] or not w}
    if penalty == 65535:
        return clipped
    if penalty == 0:
        return weights
    beta = div(penalty, 65535)
    between = {key: w + ((beta * (clipped.get(key, 0) - w)) >> 32) for key, w in weights.items()}
    return {key: w for key, w in between.items() if w}


def counts(g: EpochInput, i: int, j: int, *, late: bool) -> bool:
    """Whether what i lists for j has a voice."""
    if not g.permits[i] or g.last_update[i] <= g.registered_at[j]:
        return False
    if late and i in g.commits and g.commits[i] < g.registered_at[j]:
        return False
    return i != j or (late and i == g.params.owner_uid)


def plain_epoch(g: EpochInput) -> dict[str, Any]:
    n, p, late = len(g.stake), g.params, g.variant != "2024"
    active = [not g.last_update[i] + p.activity_cutoff < g.block for i in range(n)]
    least = p.stake_threshold if late else 0
    stake = [s if s >= least or i == p.owner_uid else 0 for i, s in enumerate(g.stake)]
    total = sum(stake)
    share = [(s << 32) // total if total else 0 for s in stake]
    order = sorted(range(n), key=lambda i: share[i])
    permits = [True] * n
    for uid in order[: max(0, n - p.max_allowed_validators)]:
        permits[uid] = False
    if late:
        permits = [(ok and share[i] > 0) or i == p.owner_uid for i, ok in enumerate(permits)]
    voice = normal([share[i] if active[i] and g.permits[i] else 0 for i in range(n)])
    weights: Table = {}
    for i, row in g.weights.to_dict().items():
        weights |= {(i, j): w << 32 for j, w in row.items() if counts(g, i, j, late=late)}
    weights = by_row(weights, n)
    before = [sum(mul(w, voice[i]) for (i, k), w in weights.items() if k == j) for j in range(n)]
    kappa = (p.kappa << 32) // 65535
    consensus = [plain_median(voice, [weights.get((i, j), 0) for i in range(n)], kappa) for j in range(n)]
    clipped = {(i, j): min(w, consensus[j]) for (i, j), w in weights.items()}
    ranks = [sum(mul(w, voice[i]) for (i, k), w in clipped.items() if k == j) for j in range(n)]
    incentive = normal(ranks)
    last = g.last_step + 1 if g.last_step else max(0, g.block - p.tempo)
    held: Table = {}
    for i, row in g.bonds.to_dict().items():
        for j, b in row.items():
            stale = last <= g.registered_at[j] if late else g.last_update[i] <= g.registered_at[j]
            if not stale:
                held[i, j] = b << 32
    base = penalised(weights, consensus, p.bonds_penalty if late else 65535)
    if g.variant == "y3":
        moved = yuma3(g, base, held, consensus)
        owned, stored = by_column(moved, n), moved
    else:
        owned = original(g, base, held, voice, consensus, liquid=p.liquid_alpha and not late)
        stored = by_column(owned, n, max)
    dividends = [sum(mul(b, incentive[j]) for (k, j), b in owned.items() if k == i) for i in range(n)]
    if g.variant == "y3":
        dividends = [mul(total, stake) for total, stake in zip(dividends, voice, strict=True)]
    dividends = normal(dividends)
    earned = sum(incentive) + sum(dividends)
    server, validator = [div(x, earned) for x in incentive], [div(x, earned) for x in dividends]
    combined = [div(x + y, earned) for x, y in zip(incentive, dividends, strict=True)]
    if earned == 0:
        validator = combined = voice if any(voice) else share
    best = max(combined)
    u16 = lambda x: (x * 65535) >> 32  # noqa: E731
    return {
        "active": tuple(active),
        "permits": tuple(permits),
        "rank": tuple(map(u16, incentive)),
        "incentive": tuple(map(u16, incentive)),
        "trust": tuple(u16(div(r, b)) for r, b in zip(ranks, before, strict=True)),
        "consensus": tuple(map(u16, consensus)),
        "dividends": tuple(map(u16, dividends)),
        "validator_trust": tuple(u16(sum(w for (i, _), w in clipped.items() if i == k)) for k in range(n)),
        "pruning": tuple((div(c * 65535, best) + (1 << 31)) >> 32 for c in combined),
        "server_emission": tuple((x * g.emission) >> 32 for x in server),
        "validator_emission": tuple((x * g.emission) >> 32 for x in validator),
        "emission": tuple((x * g.emission) >> 32 for x in combined),
        "bonds": {key: u16(b) for key, b in stored.items() if permits[key[0]] and u16(b)},
    }
