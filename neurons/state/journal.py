"""The weights journal: what was meant, before it is sent; what came of it, after.

One vector for each (network, netuid, epoch, hotkey). Another one may follow only where the earlier one provably did
not land: the chain refused every attempt. What may have landed is sent again unchanged. A promise (commit-reveal) is
written down with its salt before its hash is sent, so that any later process can keep it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ranvier.neurons.errors import NotJournalled
from ranvier.neurons.state.database import Database
from ranvier.neurons.vectors import WeightRow, WeightVector

REFUSED: Final = "refused"
INCLUDED: Final = "included"
UNKNOWN: Final = "unknown"
_COLUMNS: Final = "id, network, netuid, epoch, hotkey, weights, places, block, status, form, promise"
_TRIED: Final = "SELECT 1 FROM attempts a WHERE a.vector = vectors.id"
_DATED: Final = "SELECT max(id) FROM attempts WHERE vector = vectors.id AND outcome = 'included'"
_DOUBTED: Final = f"EXISTS ({_TRIED} AND a.outcome = 'unknown' AND a.id > coalesce(({_DATED}), 0))"
"""Whether the newest sending may have been carried out without our knowing the block."""


class IntentStatus(StrEnum):
    """``intended``: may be on its way. ``promised``: the chain holds its promise. ``landed``: read back from the
    chain. ``refused``: provably not there. ``expired``: a promise that the chain dropped before it was kept.
    """

    INTENDED = "intended"
    PROMISED = "promised"
    LANDED = "landed"
    REFUSED = REFUSED
    EXPIRED = "expired"


class Form(StrEnum):
    """How a subnet takes weights: in the open, by a hash that we reveal, or locked until the chain opens it."""

    OPEN = "open"
    HASHED = "hashed"
    TIMED = "timed"


@dataclass(frozen=True, slots=True)
class Slot:
    """The key of an intent. ``epoch`` is the block of the last step before it."""

    network: str
    netuid: int
    epoch: int
    hotkey: str


@dataclass(frozen=True, slots=True)
class Promise:
    """What a hash stands for: exactly this row with this salt (u16 values)."""

    hash: str
    row: WeightRow
    salt: tuple[int, ...]
    version_key: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """A journalled vector, meant at ``block``; ``promise`` is there for the hashed form."""

    id: int
    slot: Slot
    vector: WeightVector
    block: int
    status: IntentStatus
    form: Form = Form.OPEN
    promise: Promise | None = None


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

    def current(self, slot: Slot) -> Intent | None:
        """The vector that was or may have been sent in this epoch; None if there is none or all were refused."""
        found = self._read("epoch = ? AND status != 'refused'", slot, slot.epoch)
        return found[0] if found else None

    def open_promises(self, slot: Slot) -> list[Intent]:
        """Promises of any epoch that were sent, or may have been, and are neither kept nor lost; oldest first."""
        return self._read("form != 'open' AND status IN ('intended', 'promised')", slot)

    def hashes(self, slot: Slot) -> frozenset[str]:
        """Of all promises of any epoch, whatever became of them."""
        found = self._read("promise IS NOT NULL", slot)
        return frozenset(intent.promise.hash for intent in found if intent.promise is not None)

    def intend(
        self, slot: Slot, vector: WeightVector, block: int, form: Form, promise: Promise | None
    ) -> Intent:
        """Write a vector down before it is sent; raises `NotJournalled` where another one may have landed."""
        with self._database.transaction():
            current = self.current(slot)
            if current is not None:
                if dict(current.vector.values) == dict(vector.values):
                    return current
                raise NotJournalled(
                    f"another vector of {slot.hotkey} may be on its way in epoch {slot.epoch}, subnet {slot.netuid}; "
                    "it must be sent unchanged, or the next epoch awaited"
                )
            number = self._database.execute(
                "INSERT INTO vectors (network, netuid, epoch, hotkey, weights, places, block, status, form, promise) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'intended', ?, ?)",
                *(*_key(slot, slot.epoch), _dump(vector.values), _dump(vector.places), block),
                *(form.value, _dump_promise(promise)),
            )
        return Intent(number, slot, vector, block, IntentStatus.INTENDED, form, promise)

    def note(
        self, intent: Intent, block: int, outcome: str, detail: str, status: IntentStatus | None = None
    ) -> None:
        """Add an attempt's outcome; with ``status`` the intent changes to it in the same transaction."""
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO attempts (vector, block, outcome, detail) VALUES (?, ?, ?, ?)",
                *(intent.id, block, outcome, detail[:500]),
            )
            if status is not None:
                self._database.execute("UPDATE vectors SET status = ? WHERE id = ?", status.value, intent.id)

    def attempts(self, slot: Slot) -> list[Attempt]:
        """Everything that was tried in an epoch, oldest first."""
        found = self._database.rows(
            "SELECT a.block, a.outcome, a.detail FROM attempts a JOIN vectors v ON a.vector = v.id "
            "WHERE v.network = ? AND v.netuid = ? AND v.hotkey = ? AND v.epoch = ? ORDER BY a.id",
            *_where(slot),
            slot.epoch,
        )
        return [Attempt(*row) for row in found]

    def may_be_refused(self, intent: Intent) -> bool:
        """Whether every attempt so far was refused by the chain: only then is a refusal proof that nothing landed."""
        found = self._database.rows("SELECT outcome FROM attempts WHERE vector = ?", intent.id)
        return all(outcome == REFUSED for (outcome,) in found)

    def doubt(self, slot: Slot, block: int) -> None:
        """Note that a process ended with vectors on their way: from here on no refusal proves anything of them."""
        for intent in self._read(f"status = 'intended' AND NOT ({_DOUBTED})", slot):
            self.note(intent, block, UNKNOWN, "a process ended while it may have been on its way")

    def explanation(self, slot: Slot, update: int, latest: int) -> Intent | None:
        """The newest vector that can have made the update that the chain shows at block ``update``.

        Either a receipt or a look named that block, or the fate of a sending is unknown and the vector was meant at
        most ``latest`` blocks before. One of which the chain refused every attempt explains nothing.
        """
        found = self._read(
            f"(EXISTS ({_TRIED} AND a.outcome IN ('included', 'promised', 'landed') AND a.block = ?) OR "
            f"block <= ? AND block + ? >= ? AND ({_DOUBTED} OR NOT EXISTS ({_TRIED})))",
            *(slot, update, update, latest, update),
        )
        return found[-1] if found else None

    def _read(self, condition: str, slot: Slot, *more: Any) -> list[Intent]:
        found = self._database.rows(
            f"SELECT {_COLUMNS} FROM vectors WHERE network = ? AND netuid = ? AND hotkey = ? "  # noqa: S608 - constants
            f"AND {condition} ORDER BY id",
            *(*_where(slot), *more),
        )
        return [_intent(row) for row in found]


def _where(slot: Slot) -> tuple[str, int, str]:
    return slot.network, slot.netuid, slot.hotkey


def _key(slot: Slot, epoch: int) -> tuple[str, int, int, str]:
    return slot.network, slot.netuid, epoch, slot.hotkey


def _dump(value: Any) -> str:
    return json.dumps(dict(value), sort_keys=True)


def _dump_promise(promise: Promise | None) -> str | None:
    if promise is None:
        return None
    return json.dumps([promise.hash, promise.row.entries, promise.salt, promise.version_key])


def _intent(row: Sequence[Any]) -> Intent:
    number, network, netuid, epoch, hotkey, weights, places, block, status, form, promise = row
    where = {name: (uid, since) for name, (uid, since) in json.loads(places).items()}
    kept = None
    if promise is not None:
        hashed, entries, salt, version = json.loads(promise)
        kept = Promise(hashed, WeightRow(tuple((uid, value) for uid, value in entries)), tuple(salt), version)
    vector = WeightVector(json.loads(weights), where)
    slot = Slot(network, netuid, epoch, hotkey)
    return Intent(number, slot, vector, block, IntentStatus(status), Form(form), kept)
