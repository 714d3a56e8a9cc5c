"""Which neuron gives way when a full subnet registers another."""

from __future__ import annotations

from collections.abc import Collection, Sequence

PRUNED_SCORE = 65_535
"""Score given to the chosen uid (2024), so that the next registration before an epoch takes another."""


def prune_2024(pruning: Sequence[int], registered_at: Sequence[int], block: int, immunity: int) -> int:
    """The uid to replace by the rules of 2024; at least one neuron is needed.

    The lowest score among those past `immunity` blocks since registration, of equals the highest uid. If none
    of them scores below 65535, the immune one with the lowest score, of equals the lowest uid; uid 0 when
    that too is 65535. The caller stores `PRUNED_SCORE` for the chosen one.
    """
    neurons = [
        (score, uid, block - since < immunity)
        for uid, (score, since) in enumerate(zip(pruning, registered_at, strict=True))
        if score < PRUNED_SCORE
    ]
    settled = [(score, -uid) for score, uid, immune in neurons if not immune]
    if settled:
        return -min(settled)[1]
    return min(((score, uid) for score, uid, immune in neurons if immune), default=(0, 0))[1]


def prune_head(
    emission: Sequence[int],
    registered_at: Sequence[int],
    block: int,
    immunity: int,
    *,
    immortal: Collection[int] = (),
    keep_open: int = 10,
) -> int | None:
    """The uid to replace by the rules of 2026; None when there is none to give.

    Lowest emission (rao), then oldest registration, then lowest uid. Uids in `immortal` (the owner's) never, nor
    do they count. While more than `keep_open` neurons are past immunity one of them goes, otherwise the worst
    immune one, so that some places always stay contestable. None where nobody is left who may go.
    """
    ranked = sorted(
        (paid, since, uid)
        for uid, (paid, since) in enumerate(zip(emission, registered_at, strict=True))
        if uid not in immortal
    )
    settled = [uid for _, since, uid in ranked if block - since >= immunity]
    immune = [uid for _, since, uid in ranked if block - since < immunity]
    first = settled if len(settled) > keep_open else immune
    return first[0] if first else None


def immortals_head(owned: Sequence[tuple[int, int]], named: int | None, limit: int) -> frozenset[int]:
    """The owner's uids that never give way by the rules of 2026, `limit` at most.

    `owned` are (block of registration, uid) of all hotkeys of the owner. The one that was `named` at the founding, if
    it has a uid, comes before the oldest.
    """
    oldest = [uid for _, uid in sorted(owned)[:limit]]
    if named is not None and named not in oldest:
        oldest = [named, *oldest][:limit]
    return frozenset(oldest)
