"""The score book and its rows together: what was acknowledged is on disk, what is on disk is what is used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from ranvier.chain import Metagraph
from ranvier.neurons.events import RoundReport
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.memory import StoredMemory
from ranvier.neurons.state.scores import Line, Scores
from ranvier.subnets import Entry, EpochSecret, Record, Result, ScoreBook, SubnetSettings

VOID: Final = "void"
_log = logging.getLogger(__name__)


class ScoreKeeper:
    """Scores, rounds, secrets and the subnet's memory of one validator on one subnet, kept over restarts."""

    def __init__(self, database: Database, settings: SubnetSettings) -> None:
        self._database = database
        self._rows = Scores(database)
        self.memory = StoredMemory(database)
        self._lines = self._rows.lines()
        self._settings = settings
        self._book = self._load()

    @property
    def averages(self) -> dict[str, float]:
        """Averages of hotkeys that are not under penalty."""
        return self._book.averages

    @property
    def places(self) -> dict[str, tuple[int, int]]:
        """Where (uid, registered_at) each hotkey earned its line."""
        return {hotkey: (line.uid, line.registered_at) for hotkey, line in self._lines.items()}

    @property
    def records(self) -> dict[str, Record]:
        """What the audit draw needs."""
        return {hotkey: entry.record for hotkey, entry in self._book.entries.items()}

    def entry(self, hotkey: str) -> Entry:
        """One hotkey's line."""
        return self._book[hotkey]

    @property
    def acknowledged(self) -> tuple[int, int]:
        """How many rounds are on disk, and the newest one's number."""
        return self._rows.acknowledged()

    @property
    def last_block(self) -> int:
        """The block of the newest round; 0 for none."""
        return self._rows.last_block()

    def open_round(self, block: int, block_hash: str, epoch: int) -> int:
        """The round's number, never used before; on disk before anything is asked."""
        with self._database.transaction():
            return self._rows.open_round(block, block_hash, epoch)

    def void(self, number: int, reason: str) -> None:
        """Give a round up: the validator's own failure, nobody is scored."""
        self.memory.discard()
        with self._database.transaction():
            self._rows.close_round(number, VOID, reason)

    def prune(self, metagraph: Metagraph) -> tuple[str, ...]:
        """Forget hotkeys that left or came back elsewhere: whoever sits there now inherits nothing."""
        gone = tuple(hotkey for hotkey, place in self.places.items() if _place(metagraph, hotkey) != place)
        if gone:
            with self._database.transaction():
                self._rows.forget(gone)
                for hotkey in gone:
                    self.memory.forget(hotkey)
        for hotkey in gone:
            self._book.forget(hotkey)
            del self._lines[hotkey]
        return gone

    def acknowledge(
        self,
        number: int,
        results: Sequence[Result],
        before: Metagraph,
        after: Metagraph,
        report: Callable[[dict[str, Entry]], RoundReport],
    ) -> RoundReport:
        """Take in a round: scores, the subnet's memory and the report in one transaction.

        Hotkeys that left, moved or registered anew between ``before``, by which they were asked, and ``after`` get
        nothing: neither their results nor what the subnet wanted to remember of them.
        """
        asked = {result.hotkey for result in results}
        places = {hotkey: _place(after, hotkey) for hotkey in asked}
        stayed = {
            hotkey: place for hotkey, place in places.items() if place and place == _place(before, hotkey)
        }
        self.memory.drop(asked - stayed.keys())
        changed = self._book.record([result for result in results if result.hotkey in stayed])
        lines = {hotkey: Line(*stayed[hotkey], entry) for hotkey, entry in changed.items()}
        said = report(dict(self._book.entries))
        try:
            with self._database.transaction():
                self._rows.write(lines)
                self.memory.write()
                self._rows.close_round(number, "done", said.model_dump_json())
        except BaseException:
            self._book = self._load()
            raise
        self._lines.update(lines)
        self.memory.discard()
        return said

    def secret(self, epoch: int) -> tuple[EpochSecret, bool]:
        """The epoch's secret, and whether it was drawn and committed to just now."""
        known = self._rows.secret(epoch)
        if known is not None:
            return known, False
        fresh = EpochSecret.draw(epoch)
        with self._database.transaction():
            self._rows.commit_secret(fresh)
        return fresh, True

    def spent_secrets(self, epoch: int) -> list[EpochSecret]:
        """Secrets of earlier epochs that wait to be revealed."""
        return self._rows.unrevealed(epoch)

    def revealed(self, secret: EpochSecret) -> None:
        """Mark a secret as published."""
        with self._database.transaction():
            self._rows.reveal(secret.epoch)

    def _load(self) -> ScoreBook:
        return ScoreBook(self._settings, {hotkey: line.entry for hotkey, line in self._lines.items()})


def _place(metagraph: Metagraph, hotkey: str) -> tuple[int, int] | None:
    neuron = metagraph.by_hotkey(hotkey)
    return (neuron.uid, neuron.registered_at) if neuron else None
