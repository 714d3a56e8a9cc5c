"""Scores, rounds and epoch secrets of one validator on one subnet, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ranvier.neurons.state.database import Database
from ranvier.subnets import Entry, EpochSecret

KEEP_ROUNDS: Final = 2000
"""Rounds whose reports are kept."""


@dataclass(frozen=True, slots=True)
class Line:
    """A hotkey's entry with the place it was earned on: another place inherits nothing."""

    uid: int
    registered_at: int
    entry: Entry


class Scores:
    """Reads at start, writes once a round. Every writing method belongs inside a transaction of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(self) -> dict[str, Line]:
        """All lines by hotkey."""
        found = self._database.rows(
            "SELECT hotkey, uid, registered_at, average, rounds, passed, caught, penalty, suspicion FROM scores"
        )
        return {row[0]: Line(row[1], row[2], Entry(*row[3:])) for row in found}

    def write(self, lines: Mapping[str, Line]) -> None:
        """Store changed lines."""
        for hotkey, line in lines.items():
            entry = line.entry
            self._database.execute(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(hotkey, line.uid, line.registered_at, entry.average),
                *(entry.rounds, entry.passed, entry.caught, entry.penalty, entry.suspicion),
            )

    def forget(self, hotkeys: Iterable[str]) -> None:
        """Drop hotkeys that left the subnet."""
        for hotkey in hotkeys:
            self._database.execute("DELETE FROM scores WHERE hotkey = ?", hotkey)

    def open_round(self, block: int, block_hash: str, epoch: int) -> int:
        """Take the next number before anything is asked, so that no two rounds ever share seeds."""
        return self._database.execute(
            "INSERT INTO rounds (block, block_hash, epoch, status) VALUES (?, ?, ?, 'open')",
            block,
            block_hash,
            epoch,
        )

    def close_round(self, number: int, status: str, report: str) -> None:
        """Acknowledge a round (``done``) or give it up (``void``)."""
        self._database.execute(
            "UPDATE rounds SET status = ?, report = ? WHERE number = ?", status, report, number
        )
        self._database.execute("DELETE FROM rounds WHERE number <= ?", number - KEEP_ROUNDS)

    def acknowledged(self) -> tuple[int, int]:
        """How many rounds are done, and the newest one's number (0 for none)."""
        ((count, newest),) = self._database.rows(
            "SELECT count(*), max(number) FROM rounds WHERE status = 'done'"
        )
        return int(count), int(newest or 0)

    def last_block(self) -> int:
        """The block of the newest round of any status; 0 for none."""
        ((block,),) = self._database.rows("SELECT max(block) FROM rounds")
        return int(block or 0)

    def secret(self, epoch: int) -> EpochSecret | None:
        """The secret that was committed to for an epoch."""
        found = self._database.rows("SELECT secret FROM secrets WHERE epoch = ?", epoch)
        return EpochSecret(epoch, bytes(found[0][0])) if found else None

    def commit_secret(self, secret: EpochSecret) -> None:
        """Journal a fresh secret and its commitment, before its first use."""
        self._database.execute(
            "INSERT INTO secrets (epoch, commitment, secret) VALUES (?, ?, ?)",
            *(secret.epoch, secret.commitment, secret.secret),
        )

    def unrevealed(self, before: int) -> list[EpochSecret]:
        """Spent secrets of epochs before ``before`` that were not published yet."""
        found = self._database.rows(
            "SELECT epoch, secret FROM secrets WHERE revealed = 0 AND epoch < ? ORDER BY epoch", before
        )
        return [EpochSecret(int(epoch), bytes(secret)) for epoch, secret in found]

    def reveal(self, epoch: int) -> None:
        """Mark a secret as published."""
        self._database.execute("UPDATE secrets SET revealed = 1 WHERE epoch = ?", epoch)
