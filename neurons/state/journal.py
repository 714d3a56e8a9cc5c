"""The weights journal: what was meant, before it is sent; what came of it, after.

One vector for each (network, netuid, epoch, hotkey). Another one may follow only where the earlier one provably did
not land: the chain refused every attempt. What may have landed is sent again unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ranvier.neurons.errors import NotJournalled
from ranvier.neurons.state.database import Database

REFUSED: Final = "refused"


class VectorStatus(StrEnum):
    """``intended``: may be on its way. ``landed``: read back from the chain. ``refused``: provably not there."""

    INTENDED = "intended"
    LANDED = "landed"
    REFUSED = REFUSED


@dataclass(frozen=True, slots=True)
class Slot:
    """The key of a vector. ``epoch`` is the block of the last step before it."""

    network: str
    netuid: int
    epoch: int
    hotkey: str


@dataclass(frozen=True, slots=True)
class Vector:
    """A journalled vector: u16 by hotkey, largest 65535, meant at ``block``."""

    id: int
    slot: Slot
    weights: Mapping[str, int]
    block: int
    status: VectorStatus


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending, or one look at the chain, and its outcome."""

    block: int
    outcome: str
    detail: str


class Journal:
    """Rows of one database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self, slot: Slot) -> Vector | None:
        """The vector that was or may have been sent in this epoch; None if there is none or all were refused."""
        found = self._database.rows(
            "SELECT id, weights, block, status FROM vectors "
            "WHERE network = ? AND netuid = ? AND epoch = ? AND hotkey = ? AND status != 'refused'",
            *_key(slot),
        )
        if not found:
            return None
        number, weights, block, status = found[0]
        return Vector(number, slot, json.loads(weights), block, VectorStatus(status))

    def intend(self, slot: Slot, weights: Mapping[str, int], block: int) -> Vector:
        """Write a vector down before it is sent; raises `NotJournalled` where another one may have landed."""
        with self._database.transaction():
            current = self.current(slot)
            if current is not None:
                if dict(current.weights) == dict(weights):
                    return current
                raise NotJournalled(
                    f"another vector of {slot.hotkey} may be on its way in epoch {slot.epoch}, subnet {slot.netuid}; "
                    "it must be sent unchanged, or the next epoch awaited"
                )
            number = self._database.execute(
                "INSERT INTO vectors (network, netuid, epoch, hotkey, weights, block, status) "
                "VALUES (?, ?, ?, ?, ?, ?, 'intended')",
                *(*_key(slot), json.dumps(dict(sorted(weights.items()))), block),
            )
        return Vector(number, slot, dict(weights), block, VectorStatus.INTENDED)

    def note(
        self, vector: Vector, block: int, outcome: str, detail: str, status: VectorStatus | None = None
    ) -> None:
        """Add an attempt's outcome; with ``status`` the vector changes to it in the same transaction."""
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO attempts (vector, block, outcome, detail) VALUES (?, ?, ?, ?)",
                *(vector.id, block, outcome, detail[:500]),
            )
            if status is not None:
                self._database.execute("UPDATE vectors SET status = ? WHERE id = ?", status.value, vector.id)

    def attempts(self, slot: Slot) -> list[Attempt]:
        """Everything that was tried in an epoch, oldest first."""
        found = self._database.rows(
            "SELECT a.block, a.outcome, a.detail FROM attempts a JOIN vectors v ON a.vector = v.id "
            "WHERE v.network = ? AND v.netuid = ? AND v.epoch = ? AND v.hotkey = ? ORDER BY a.id",
            *_key(slot),
        )
        return [Attempt(*row) for row in found]

    def may_be_refused(self, vector: Vector) -> bool:
        """Whether every attempt so far was refused by the chain: only then is a refusal proof that nothing landed."""
        found = self._database.rows("SELECT outcome FROM attempts WHERE vector = ?", vector.id)
        return all(outcome == REFUSED for (outcome,) in found)


def _key(slot: Slot) -> tuple[str, int, int, str]:
    return slot.network, slot.netuid, slot.epoch, slot.hotkey
