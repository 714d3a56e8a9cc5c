"""What differs between eras of the chain outside Yuma: prices, pruning and when epochs run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.pricing import Demand, adjust_prices, decay_factor, decay_price, raise_price
from ranvier.chain.pruning import immortals_head, prune_2024, prune_head
from ranvier.chain.schedule import (
    epoch_due_2024,
    epochs_in_block_head,
    next_epoch_2024,
    reveal_window_2024,
    reveal_window_head,
)
from ranvier.chain.state import ChainState, SubnetState

_INTERVAL_CAP = 3
_CLOSED = 2**64 - 1
"""A difficulty that stays where it is: nobody works."""


class Rules(Protocol):
    """One era."""

    def yuma(self, settings: Hyperparameters) -> str:
        """Name of the Yuma variant of a subnet with these settings."""
        ...

    def start_block(self, subnet: SubnetState, block: int) -> None:
        """Adjust the subnet's price and its counters."""
        ...

    def epochs(self, subnets: Iterable[SubnetState], block: int) -> list[SubnetState]:
        """The subnets whose epoch runs in this block."""
        ...

    def reveal_window(self, subnet: SubnetState, block: int) -> tuple[int, int]:
        """First and last block in which weights committed in `block` can be revealed."""
        ...

    def refuse_registration(self, subnet: SubnetState, *, by_work: bool) -> str | None:
        """The chain's error name where too many have registered, else None."""
        ...

    def registered(self, subnet: SubnetState, *, by_work: bool) -> None:
        """Take note of a registration."""
        ...

    def gives_way(self, state: ChainState, subnet: SubnetState, block: int) -> int | None:
        """The uid that gives way on a full subnet; None where none may go."""
        ...

    def activity_cutoff(self, settings: Hyperparameters) -> int:
        """Blocks without weights until a validator is inactive."""
        ...

    def until_frozen(self, state: ChainState, subnet: SubnetState, block: int) -> int:
        """Blocks until the owner may change nothing for the sake of the next epoch; 0: now."""
        ...

    def found(self, subnet: SubnetState) -> str | None:
        """The hotkey that has the first place on a new subnet; None where it begins empty."""
        ...

    def next_epoch(self, subnet: SubnetState, block: int) -> int | None:
        """The first block >= `block` in which the subnet's epoch is due; None for tempo 0."""
        ...

    def take(self, state: ChainState, hotkey: str) -> int | None:
        """What a hotkey takes of its nominators' dividends, of 65535; None where only its owner may stake to it."""
        ...


class Rules2024:
    """The runtime of 2024: prices move once per interval, few registrations per block and interval."""

    def yuma(self, settings: Hyperparameters) -> str:
        """The original form, whatever the settings say."""
        return "2024"

    def start_block(self, subnet: SubnetState, block: int) -> None:
        """Reset the block's counter; at the end of an interval adjust the price."""
        subnet.registered_now = 0
        settings = subnet.hyperparameters
        if block - subnet.adjusted_at < settings.adjustment_interval:
            return
        demand = Demand(
            burn=subnet.burn,
            minimum_burn=settings.min_burn,
            maximum_burn=settings.max_burn,
            difficulty=subnet.difficulty if settings.work_allowed else _CLOSED,
            minimum_difficulty=settings.min_difficulty if settings.work_allowed else _CLOSED,
            maximum_difficulty=settings.max_difficulty if settings.work_allowed else _CLOSED,
            alpha=settings.adjustment_alpha,
            target=settings.target_regs_per_interval,
            by_burn=subnet.registered_interval - subnet.by_work,
            by_work=subnet.by_work,
        )
        adjusted = adjust_prices(demand)
        subnet.burn = adjusted.burn
        if settings.work_allowed:
            subnet.difficulty = adjusted.difficulty
        subnet.registered_interval, subnet.by_work, subnet.adjusted_at = 0, 0, block

    def epochs(self, subnets: Iterable[SubnetState], block: int) -> list[SubnetState]:
        """Every subnet at (block + netuid + 1) mod (tempo + 1) == tempo."""
        return [s for s in subnets if epoch_due_2024(block, s.netuid, s.hyperparameters.tempo)]

    def reveal_window(self, subnet: SubnetState, block: int) -> tuple[int, int]:
        """One epoch, `reveal_period` epochs after the commitment's."""
        settings = subnet.hyperparameters
        return reveal_window_2024(block, subnet.netuid, settings.tempo, settings.reveal_period)

    def refuse_registration(self, subnet: SubnetState, *, by_work: bool) -> str | None:
        """At most `max_regs_per_block`, and three times the target per interval."""
        settings = subnet.hyperparameters
        if subnet.registered_now >= settings.max_regs_per_block:
            return "TooManyRegistrationsThisBlock"
        if subnet.registered_interval >= _INTERVAL_CAP * settings.target_regs_per_interval:
            return "TooManyRegistrationsThisInterval"
        return None

    def registered(self, subnet: SubnetState, *, by_work: bool) -> None:
        """Count it."""
        subnet.registered_now += 1
        subnet.registered_interval += 1
        subnet.by_work += by_work

    def gives_way(self, state: ChainState, subnet: SubnetState, block: int) -> int | None:
        """By pruning score, whoever it is."""
        scores = [slot.pruning for slot in subnet.slots]
        since = [slot.registered_at for slot in subnet.slots]
        return prune_2024(scores, since, block, subnet.hyperparameters.immunity_period)

    def activity_cutoff(self, settings: Hyperparameters) -> int:
        """As it is set."""
        return settings.activity_cutoff

    def until_frozen(self, state: ChainState, subnet: SubnetState, block: int) -> int:
        """Never."""
        return 1

    def found(self, subnet: SubnetState) -> str | None:
        """Nobody's."""
        return None

    def next_epoch(self, subnet: SubnetState, block: int) -> int | None:
        """By the netuid and the tempo."""
        return next_epoch_2024(block, subnet.netuid, subnet.hyperparameters.tempo)

    def take(self, state: ChainState, hotkey: str) -> int | None:
        """Who never became a delegate has none."""
        return state.ledger.takes.get(hotkey)


class Rules2026:
    """The runtime of 2026: the price jumps with each registration and decays with each block."""

    def yuma(self, settings: Hyperparameters) -> str:
        """Yuma 3, or the original form with what was added since."""
        return "y3" if settings.yuma3 else "y2"

    def start_block(self, subnet: SubnetState, block: int) -> None:
        """Reset the block's counter; let the price decay. The difficulty stays as it is set."""
        settings = subnet.hyperparameters
        factor = _factor(settings.burn_half_life)
        subnet.burn = decay_price(subnet.burn, settings.min_burn, settings.max_burn, factor)
        subnet.registered_now = 0

    def epochs(self, subnets: Iterable[SubnetState], block: int) -> list[SubnetState]:
        """Those `tempo` blocks after their last, two in a block at most."""
        known = {s.netuid: s for s in subnets}
        due = ((s.netuid, s.counted_from, s.hyperparameters.tempo) for s in known.values())
        return [known[netuid] for netuid in epochs_in_block_head(block, due)]

    def reveal_window(self, subnet: SubnetState, block: int) -> tuple[int, int]:
        """`tempo` blocks, `reveal_period` tempos after the last epoch."""
        settings = subnet.hyperparameters
        return reveal_window_head(block, subnet.counted_from, settings.tempo, settings.reveal_period)

    def refuse_registration(self, subnet: SubnetState, *, by_work: bool) -> str | None:
        """The price alone limits those who pay; who works waits while a block has `max_regs_per_block` of both."""
        crowded = by_work and subnet.registered_now >= subnet.hyperparameters.max_regs_per_block
        return "TooManyRegistrationsThisBlock" if crowded else None

    def registered(self, subnet: SubnetState, *, by_work: bool) -> None:
        """Count it; raise the price of what was paid for. Work makes nothing dearer."""
        settings, percent = subnet.hyperparameters, subnet.hyperparameters.burn_increase_percent
        subnet.registered_now += 1
        if not by_work:
            subnet.burn = raise_price(subnet.burn, settings.min_burn, settings.max_burn, percent)

    def gives_way(self, state: ChainState, subnet: SubnetState, block: int) -> int | None:
        """By emission, then by age; the owner's own hotkey never."""
        settings, owners = subnet.hyperparameters, state.ledger.owners
        paid = [slot.emission for slot in subnet.slots]
        since = [slot.registered_at for slot in subnet.slots]
        owned = [
            (slot.registered_at, uid)
            for uid, slot in enumerate(subnet.slots)
            if owners[slot.hotkey] == subnet.owner
        ]
        named = subnet.uids.get(subnet.owner_hotkey or "")
        return prune_head(
            paid,
            since,
            block,
            settings.immunity_period,
            immortal=immortals_head(owned, named, settings.immune_owner_uids_limit),
            keep_open=settings.min_non_immune_uids,
        )

    def activity_cutoff(self, settings: Hyperparameters) -> int:
        """So many tempos."""
        return settings.activity_cutoff_factor * settings.tempo // 1000

    def until_frozen(self, state: ChainState, subnet: SubnetState, block: int) -> int:
        """Within the chain's window before an epoch, which a tempo of 0 has none of."""
        tempo, window = subnet.hyperparameters.tempo, state.network.parameters.freeze_window
        return max(0, subnet.counted_from + tempo - block - window + 1) if tempo else 1

    def found(self, subnet: SubnetState) -> str | None:
        """The owner's own."""
        return subnet.owner_hotkey

    def next_epoch(self, subnet: SubnetState, block: int) -> int | None:
        """A tempo after the last; later where more than two are due in a block."""
        tempo = subnet.hyperparameters.tempo
        return max(block, subnet.counted_from + tempo) if tempo else None

    def take(self, state: ChainState, hotkey: str) -> int | None:
        """Everybody is a delegate."""
        return state.ledger.takes.get(hotkey, state.network.parameters.default_take)


@lru_cache(maxsize=64)
def _factor(half_life: int) -> int:
    return decay_factor(half_life)


def rules_of(era: str) -> Rules:
    """The rules of a genesis' era."""
    return Rules2024() if era == "2024" else Rules2026()
