"""Everything the chain remembers between two blocks. Only the runtime changes it, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ranvier.chain.children import Families
from ranvier.chain.governance import GovernanceState
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.ledger import Ledger
from ranvier.chain.market import Market
from ranvier.chain.models import AxonInfo, Block, WeightCommit
from ranvier.chain.network import NetworkState
from ranvier.chain.payment import Payment
from ranvier.chain.root import RootState

Row = dict[int, int]
TAO_WEIGHT: Final = 971718665099567868
"""How much a TAO on root counts beside one alpha on a subnet, with 64 fraction bits (0.0527)."""


def root_worth(tao: int) -> int:
    """Alpha that TAO on root counts as, on every subnet."""
    return tao * TAO_WEIGHT >> 64


@dataclass(slots=True)
class Slot:
    """A uid's state; fields as in `models.Neuron`, `pruning` is the u16 score of the 2024 rules."""

    hotkey: str
    registered_at: int
    last_update: int
    active: bool = True
    permit: bool = False
    rank: int = 0
    trust: int = 0
    validator_trust: int = 0
    consensus: int = 0
    incentive: int = 0
    dividends: int = 0
    emission: int = 0
    pruning: int = 0
    axon: AxonInfo | None = None


@dataclass
class SubnetState:
    """One subnet. `share` is its relative part of emission in millionths, `pending` the rao for its next epoch.

    `difficulty` is what work must reach now, `by_work` how many of the interval's registrations came by it,
    `recycled` the rao that registrations burned so far, `owner_hotkey` the one that was named at the founding.
    `last_step` is the block of the last epoch (0: none yet), `counted_from` the block the 2026 schedule counts its
    tempo from, `starts_at` the first block with emission (None: its owner has not started it). `weights` and `bonds`
    are rows by uid, u16. With a `market` emission is in alpha, not rao of TAO.
    """

    netuid: int
    name: str
    owner: str | None
    share: int
    created_at: int
    hyperparameters: Hyperparameters
    burn: int
    counted_from: int
    starts_at: int | None = 0
    adjusted_at: int = 0
    registered_now: int = 0
    registered_interval: int = 0
    by_work: int = 0
    difficulty: int = 0
    recycled: int = 0
    owner_hotkey: str | None = None
    pending: int = 0
    last_step: int = 0
    loaded: tuple[Payment, ...] = ()
    slots: list[Slot] = field(default_factory=list)
    weights: dict[int, Row] = field(default_factory=dict)
    bonds: dict[int, Row] = field(default_factory=dict)
    commits: dict[str, tuple[WeightCommit, ...]] = field(default_factory=dict)
    uids: dict[str, int] = field(default_factory=dict)
    families: Families = field(default_factory=Families)
    market: Market | None = None
    changed: set[str] = field(default_factory=set)

    def touch(self, *records: str) -> None:
        """Mark records as changed: by what follows "subnet/NETUID/".

        "" (its own), "families", "slot/UID", "standing", "weights/UID", "bonds", "commits/HOT", "loaded",
        "alpha/HOT/COLD". Not what the tally holds: that is written with every block.
        """
        for record in records:
            self.changed.add(f"subnet/{self.netuid}/{record}")

    def slot_of(self, hotkey: str) -> Slot | None:
        """The slot of a registered hotkey."""
        uid = self.uids.get(hotkey)
        return None if uid is None else self.slots[uid]

    def put(self, uid: int, slot: Slot) -> None:
        """Give `uid` to a hotkey that inherits nothing: rows of and bonds to the former one are gone."""
        if uid == len(self.slots):
            self.slots.append(slot)
        else:
            self._clear(uid)
            self.slots[uid] = slot
        self.uids[slot.hotkey] = uid
        self.touch("", f"slot/{uid}", "standing")

    def remove_last(self) -> None:
        """Take the highest uid away, with all that belongs to it."""
        uid = len(self.slots) - 1
        self._clear(uid)
        self.slots.pop()
        self.touch("", f"slot/{uid}", "standing")

    def _clear(self, uid: int) -> None:
        former = self.slots[uid].hotkey
        del self.uids[former]
        if self.commits.pop(former, None):
            self.touch(f"commits/{former}")
        self.touch(*(f"weights/{row}" for row in _forget(self.weights, uid)))
        if _forget(self.bonds, uid):
            self.touch("bonds")


def _forget(rows: dict[int, Row], uid: int) -> list[int]:
    """Take a uid out of rows and columns; returns the rows that had it."""
    touched = [row for row, entries in rows.items() if row == uid or uid in entries]
    rows.pop(uid, None)
    for row in touched:
        rows.get(row, {}).pop(uid, None)
    return touched


@dataclass
class ChainState:
    """The chain at one block."""

    head: Block
    ledger: Ledger
    network: NetworkState
    subnets: dict[int, SubnetState] = field(default_factory=dict)
    root: RootState = field(default_factory=RootState)
    governance: GovernanceState = field(default_factory=GovernanceState)
    recent: tuple[Block, ...] = ()
    """The newest blocks, whose hashes work may be done on; oldest first."""
    spent: dict[str, int] = field(default_factory=dict)
    """Work that got a place, with the block that it was done on, while that can still be named."""
    changed: set[str] = field(default_factory=set)

    def touch(self, *records: str) -> None:
        """Mark records that belong neither to the ledger nor to a subnet as changed, by their whole names."""
        self.changed.update(records)

    def pace(self, kind: str, key: str, block: int) -> None:
        """Take note of an action that is limited in pace."""
        self.network.paces[kind, key] = block
        self.touch(f"pace/{kind}/{key}")

    def forget_paces(self, gone: Iterable[tuple[str, str]]) -> None:
        """Drop notes of actions that hold nobody up any more."""
        for kind, key in gone:
            del self.network.paces[kind, key]
            self.touch(f"pace/{kind}/{key}")

    def take_changed(self) -> set[str]:
        """Names of the records changed since the last call."""
        changed = self.ledger.changed | self.changed | {"head", "tally/"}
        self.ledger.changed, self.changed = set(), set()
        for subnet in self.subnets.values():
            changed |= subnet.changed
            subnet.changed = set()
        return changed

    def stake_on(self, subnet: SubnetState, hotkey: str) -> int:
        """Rao that a hotkey validates with on a subnet: what it did not hand to children, and what parents did.

        With a market these are alpha, and TAO on root counts as `root_worth` says.
        """
        tao = self._inherited(subnet, hotkey, self.ledger.staked)
        if subnet.market is None:
            return tao
        return self._inherited(subnet, hotkey, subnet.market.staked) + root_worth(tao)

    def worth_on(self, subnet: SubnetState) -> Callable[[str], int]:
        """What stake of a hotkey counts on a subnet, before any is handed on."""
        market, staked = subnet.market, self.ledger.staked
        if market is None:
            return staked
        return lambda hotkey: market.staked(hotkey) + root_worth(staked(hotkey))

    def _inherited(self, subnet: SubnetState, hotkey: str, staked: Callable[[str], int]) -> int:
        if not subnet.families.children:
            return staked(hotkey)
        return sum(subnet.families.voices(hotkey, staked).values())

    def registered_anywhere(self, hotkey: str) -> bool:
        """Whether the hotkey has a uid on some subnet, or a seat on root, which is a network like them."""
        return self.root.seat_of(hotkey) is not None or any(
            hotkey in subnet.uids for subnet in self.subnets.values()
        )
