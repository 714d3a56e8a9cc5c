"""At which blocks a subnet's epoch runs. All arguments are block numbers or counts of blocks."""

from __future__ import annotations

from collections.abc import Iterable

EPOCHS_PER_BLOCK = 2
"""2026 rules: at most so many epochs in a block; the others wait for the next one."""


def blocks_until_epoch_2024(block: int, netuid: int, tempo: int) -> int | None:
    """Blocks from `block` to the subnet's next epoch, 0 when it runs in this block; None for tempo 0 (never).

    The period is tempo + 1 blocks, shifted by netuid so that subnets take turns.
    """
    if tempo == 0:
        return None
    return tempo - (block + netuid + 1) % (tempo + 1)


def epoch_due_2024(block: int, netuid: int, tempo: int) -> bool:
    """Whether the epoch runs in this block (rules of 2024)."""
    return blocks_until_epoch_2024(block, netuid, tempo) == 0


def next_epoch_2024(block: int, netuid: int, tempo: int) -> int | None:
    """The first block >= `block` with an epoch; None for tempo 0."""
    distance = blocks_until_epoch_2024(block, netuid, tempo)
    return None if distance is None else block + distance


def reveal_window_2024(block: int, netuid: int, tempo: int, period: int) -> tuple[int, int]:
    """First and last block in which a commitment made in `block` can be revealed: one epoch, `period` later."""
    index = (block + netuid + 1) // (tempo + 1)
    first = (index + period) * (tempo + 1) - netuid - 1
    return first, first + tempo


def reveal_window_head(block: int, last_step: int, tempo: int, period: int) -> tuple[int, int]:
    """The same under the schedule of 2026, that counts from the block of the last epoch."""
    first = last_step + max(period * tempo, block - last_step) + 1
    return first, first + tempo - 1


def first_step_head(created: int, netuid: int, tempo: int) -> int:
    """The "last epoch" block to give a new subnet (2026 rules): staggered by netuid mod tempo."""
    return created + (netuid % tempo if tempo else 0)


def epoch_due_head(block: int, last_step: int, tempo: int) -> bool:
    """Whether the epoch runs in this block (2026 rules): `tempo` blocks after the last; never at tempo 0."""
    return tempo > 0 and block >= last_step + tempo


def epochs_in_block_head(block: int, subnets: Iterable[tuple[int, int, int]]) -> tuple[int, ...]:
    """The netuids, of (netuid, last_step, tempo) triples, whose epochs run in this block.

    Those due for the longest go first, of equals the lower netuid; no more than `EPOCHS_PER_BLOCK`.
    """
    due = [(last + tempo, netuid) for netuid, last, tempo in subnets if epoch_due_head(block, last, tempo)]
    return tuple(netuid for _, netuid in sorted(due)[:EPOCHS_PER_BLOCK])
