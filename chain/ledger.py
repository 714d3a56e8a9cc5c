"""Who holds how many rao. Every rao is a balance or a stake; issuance counts them all, always."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ranvier.chain.errors import Overdrawn


@dataclass
class Ledger:
    """Balances by coldkey, stakes by (hotkey, coldkey), owners by hotkey; amounts are rao.

    `takes` holds a u16 ratio for each hotkey whose owner said one, who thereby is a delegate.
    `locks` holds the rao that were locked for each subnet, `pools` the TAO of its alpha pool (kept in the tally).
    `all_staked` is the sum of all stakes.
    `changed` collects the names of records to store ("balance/KEY", "stake/HOT/COLD", "owner/HOT", "take/HOT",
    "lock/NETUID", "moved/HOT/COLD").
    `moved_at` is the block of a pair's last staking or unstaking. Methods that move rao raise `Overdrawn`
    and change nothing where there is too little; checks with the chain's names come before them.
    """

    existential_deposit: int
    issuance: int = 0
    balances: dict[str, int] = field(default_factory=dict)
    stakes: dict[str, dict[str, int]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    takes: dict[str, int] = field(default_factory=dict)
    locks: dict[int, int] = field(default_factory=dict)
    pools: dict[int, int] = field(default_factory=dict)
    all_staked: int = 0
    moved_at: dict[tuple[str, str], int] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def balance(self, coldkey: str) -> int:
        """Free rao of a coldkey."""
        return self.balances.get(coldkey, 0)

    def can_pay(self, coldkey: str, amount: int) -> bool:
        """Whether the coldkey can give away `amount` and keep the existential deposit."""
        return self.balance(coldkey) - amount >= self.existential_deposit

    def staked(self, hotkey: str) -> int:
        """All rao on a hotkey."""
        return sum(self.stakes.get(hotkey, {}).values())

    def stake_of(self, hotkey: str, coldkey: str) -> int:
        """Rao that a coldkey has on a hotkey."""
        return self.stakes.get(hotkey, {}).get(coldkey, 0)

    def own(self, hotkey: str, coldkey: str) -> None:
        """Record the owner of a hotkey seen for the first time."""
        if self.owners.setdefault(hotkey, coldkey) == coldkey:
            self.changed.add(f"owner/{hotkey}")

    def mint(self, coldkey: str, amount: int) -> None:
        """Make new rao into a balance."""
        self._credit(coldkey, amount)
        self.issuance += amount

    def mint_stake(self, hotkey: str, amount: int, coldkey: str | None = None) -> None:
        """Make new rao into stake on a hotkey, its owner's where no other coldkey is named."""
        self._restake(hotkey, coldkey or self.owners[hotkey], amount)
        self.issuance += amount

    def move(self, coldkey: str, origin: str, hotkey: str, amount: int, block: int) -> None:
        """Move a coldkey's stake from one hotkey to another."""
        self._restake(origin, coldkey, -amount)
        self._restake(hotkey, coldkey, amount)
        self._moved(origin, coldkey, block)
        self._moved(hotkey, coldkey, block)

    def set_take(self, hotkey: str, take: int) -> None:
        """What a delegate keeps of its validator's emission, of 65535."""
        self.takes[hotkey] = take
        self.changed.add(f"take/{hotkey}")

    def burn(self, coldkey: str, amount: int) -> None:
        """Take rao out of a balance and out of existence."""
        self._credit(coldkey, -amount)
        self.issuance -= amount

    def transfer(self, sender: str, receiver: str, amount: int) -> None:
        """Move rao between balances."""
        self._credit(sender, -amount)
        self._credit(receiver, amount)

    def stake(self, coldkey: str, hotkey: str, amount: int, block: int) -> None:
        """Move rao from a balance to stake."""
        self._credit(coldkey, -amount)
        self._restake(hotkey, coldkey, amount)
        self._moved(hotkey, coldkey, block)

    def unstake(self, coldkey: str, hotkey: str, amount: int, block: int) -> None:
        """Move rao from stake to a balance."""
        self._restake(hotkey, coldkey, -amount)
        self._credit(coldkey, amount)
        self._moved(hotkey, coldkey, block)

    def lock(self, coldkey: str, netuid: int, amount: int) -> None:
        """Move rao from a balance to the lock of a subnet."""
        self._credit(coldkey, -amount)
        self.locks[netuid] = self.locks.get(netuid, 0) + amount
        self.changed.add(f"lock/{netuid}")

    def unlock(self, netuid: int, coldkey: str | None) -> int:
        """Return a subnet's lock to a balance, or burn it where there is nobody; returns its rao."""
        amount = self.locks.pop(netuid, 0)
        self.changed.add(f"lock/{netuid}")
        if coldkey is None:
            self.issuance -= amount
        elif amount:
            self._credit(coldkey, amount)
        return amount

    def release(self, hotkey: str) -> dict[str, int]:
        """Return all stake on a hotkey to those who put it there; returns the rao that each got."""
        held = dict(self.stakes.get(hotkey, {}))
        for coldkey, amount in held.items():
            self._restake(hotkey, coldkey, -amount)
            self._credit(coldkey, amount)
        return held

    def forget_moves(self, before: int) -> None:
        """Drop what is known of stakings up to a block: they hold nobody up any more."""
        for hotkey, coldkey in [pair for pair, block in self.moved_at.items() if block <= before]:
            del self.moved_at[hotkey, coldkey]
            self.changed.add(f"moved/{hotkey}/{coldkey}")

    def fund_pool(self, netuid: int, amount: int) -> None:
        """Make new rao into a pool's TAO."""
        self._pool(netuid, amount)
        self.issuance += amount

    def pay_pool(self, coldkey: str, netuid: int, amount: int) -> None:
        """Move rao from a balance into a pool."""
        self._credit(coldkey, -amount)
        self._pool(netuid, amount)

    def paid_by_pool(self, coldkey: str, netuid: int, amount: int) -> None:
        """Move rao from a pool to a balance."""
        self._pool(netuid, -amount)
        self._credit(coldkey, amount)

    def stake_into_pool(self, netuid: int, hotkey: str, coldkey: str, amount: int) -> None:
        """Move rao from stake into a pool."""
        self._restake(hotkey, coldkey, -amount)
        self._pool(netuid, amount)

    def stake_from_pool(self, netuid: int, hotkey: str, coldkey: str, amount: int) -> None:
        """Move rao from a pool to stake."""
        self._pool(netuid, -amount)
        self._restake(hotkey, coldkey, amount)

    def between_pools(self, origin: int, netuid: int, amount: int) -> None:
        """Move rao from one pool to another."""
        self._pool(origin, -amount)
        self._pool(netuid, amount)

    def close_pool(self, netuid: int, shares: Mapping[str, int]) -> None:
        """Pay a pool out to balances; what is left of it is burned."""
        for coldkey, amount in shares.items():
            if amount:
                self.paid_by_pool(coldkey, netuid, amount)
        self.issuance -= self.pools.pop(netuid, 0)

    def total(self) -> int:
        """The sum over all holders; equals `issuance`."""
        staked = sum(sum(held.values()) for held in self.stakes.values())
        return sum(self.balances.values()) + staked + sum(self.locks.values()) + sum(self.pools.values())

    def _credit(self, coldkey: str, amount: int) -> None:
        left = self.balance(coldkey) + amount
        if left < 0:
            raise Overdrawn(f"{coldkey} holds {left - amount} rao, {-amount} were to be taken; report this")
        self.balances[coldkey] = left
        self.changed.add(f"balance/{coldkey}")

    def _pool(self, netuid: int, amount: int) -> None:
        left = self.pools.get(netuid, 0) + amount
        if left < 0:
            raise Overdrawn(f"pool {netuid} holds {left - amount} rao, not {-amount}; report this")
        self.pools[netuid] = left

    def _moved(self, hotkey: str, coldkey: str, block: int) -> None:
        self.moved_at[hotkey, coldkey] = block
        self.changed.add(f"moved/{hotkey}/{coldkey}")

    def _restake(self, hotkey: str, coldkey: str, amount: int) -> None:
        left = self.stake_of(hotkey, coldkey) + amount
        if left < 0:
            raise Overdrawn(f"{coldkey} has {left - amount} rao on {hotkey}, not {-amount}; report this")
        held = self.stakes.setdefault(hotkey, {})
        held[coldkey] = left
        if not left:
            del held[coldkey]
        if not held:
            del self.stakes[hotkey]
        self.all_staked += amount
        self.changed.add(f"stake/{hotkey}/{coldkey}")
