"""Stake that is handed to other hotkeys for validating, and the dividends that come back for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ranvier.chain.payment import Payment

WHOLE = 2**64 - 1
"""All of a parent's stake."""
Children = tuple[tuple[int, str], ...]
"""(part of `WHOLE`, child's hotkey)."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A choice that counts from block `since` on."""

    children: Children
    since: int


@dataclass
class Families:
    """Of one subnet: children by parent, choices that do not count yet, and takes by child (of 65535)."""

    children: dict[str, Children] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)
    takes: dict[str, int] = field(default_factory=dict)

    def settle(self, block: int) -> bool:
        """Let choices count whose time has come; returns whether there was any."""
        due = [parent for parent, choice in self.pending.items() if choice.since <= block]
        for parent in due:
            chosen = self.pending.pop(parent).children
            if chosen:
                self.children[parent] = chosen
            else:
                self.children.pop(parent, None)
        return bool(due)

    def voices(self, hotkey: str, staked: Callable[[str], int]) -> dict[str, int]:
        """Whose rao a hotkey validates with: what is left of its own, and what parents handed it."""
        given = sum(part for part, _ in self.children.get(hotkey, ()))
        found = {hotkey: staked(hotkey) * (WHOLE - given) // WHOLE}
        for parent, children in self.children.items():
            for part, child in children:
                if child == hotkey:
                    found[parent] = found.get(parent, 0) + staked(parent) * part // WHOLE
        return found


def shared(
    payments: Iterable[Payment],
    families: Families,
    staked: Callable[[str], int],
    owners: Mapping[str, str],
) -> tuple[Payment, ...]:
    """The payments of an epoch with the parents' parts of their children's dividends apart.

    Dividends go to those whose stake earned them, in proportion; of another owner's part the child keeps its take.
    Floors leave their remainders to the child.
    """
    if not families.children:
        return tuple(payments)
    found: list[Payment] = []
    for payment in payments:
        voices = families.voices(payment.hotkey, staked)
        total, kept = sum(voices.values()), payment.validator
        for parent, voice in sorted(voices.items()):
            if parent == payment.hotkey or not total:
                continue
            part = payment.validator * voice // total
            if owners[parent] != owners[payment.hotkey]:
                part -= part * families.takes.get(payment.hotkey, 0) // 65535
            if part:
                found.append(Payment(parent, 0, part))
                kept -= part
        found.append(Payment(payment.hotkey, payment.server, kept))
    return tuple(found)
