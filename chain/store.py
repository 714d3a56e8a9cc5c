"""The chain on disk: one SQLite file (WAL), one writer. A block is one transaction, durable when it returns."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ranvier.chain import history
from ranvier.chain.errors import StateUnusable, WrongChain
from ranvier.chain.explorer import SubnetPoint
from ranvier.chain.history import History
from ranvier.chain.models import Block, Event
from ranvier.chain.pulse import Pulse
from ranvier.chain.signed import SignedCall
from ranvier.chain.steps import EpochRecord

SCHEMA_VERSION = 7
"""Of the tables, and of the records in them and in checkpoints. Other versions are refused, not converted."""
FILE_NAME = "chain.sqlite"
OUTCOMES_KEPT = 256
"""Blocks after a call's last valid one during which its outcome can still be asked for."""
SWEEP = 1024
"""Blocks between two looks for old points."""
CACHE = 64 * 1024
"""KiB of pages kept in memory: a block changes pages all over the file, and SQLite's own 2 MiB would not hold them."""
LOG_PAGES = 8000
"""Pages in the log (32 MB) before they go into the file itself; one that many blocks changed goes there once."""
_SCHEMA = f"""
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE block (number INTEGER PRIMARY KEY, hash TEXT NOT NULL, timestamp REAL NOT NULL);
CREATE TABLE call (hash TEXT PRIMARY KEY, block INTEGER NOT NULL, valid_until INTEGER NOT NULL,
    error TEXT, message TEXT) WITHOUT ROWID;
CREATE INDEX call_life ON call (valid_until);
CREATE TABLE event (block INTEGER, idx INTEGER, name TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (block, idx)) WITHOUT ROWID;
CREATE TABLE signed (block INTEGER, idx INTEGER, body TEXT NOT NULL, PRIMARY KEY (block, idx)) WITHOUT ROWID;
CREATE TABLE origin (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
{history.SCHEMA}"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: its block, and the chain's error name and message where it was refused."""

    call_hash: str
    block: int
    valid_until: int
    error: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """All that one block adds. `records` holds changed state records, None for one that is no more."""

    block: Block
    records: Mapping[str, str | None]
    outcomes: tuple[Outcome, ...] = ()
    events: tuple[Event, ...] = ()
    epochs: tuple[EpochRecord, ...] = ()
    signed: tuple[SignedCall, ...] = ()
    points: Mapping[int, SubnetPoint] = field(default_factory=dict)
    """Subnets that had a registration or an epoch, by netuid."""
    prices: Mapping[int, float] = field(default_factory=dict)
    """TAO for one alpha by netuid, in a block in which any alpha changed hands."""


@dataclass
class Store:
    """An open chain file. Raises `StateUnusable` for anything wrong with the file or the disk."""

    folder: Path
    _db: sqlite3.Connection = field(init=False, repr=False)
    _lock: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = _take_lock(self.folder)
        try:
            self._db = sqlite3.connect(self.folder / FILE_NAME, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            # FULL: a block is on the disk, not only with the kernel, before anybody hears of it.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(f"PRAGMA cache_size = -{CACHE}")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            self._prepare()
        except sqlite3.Error as error:
            if hasattr(self, "_db"):
                self._db.close()
            os.close(self._lock)
            raise self._unusable(error) from error
        except StateUnusable:
            self.close()
            raise

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder has a chain's file; to be asked before a store is opened that must not make one."""
        return (folder / FILE_NAME).is_file()

    def close(self) -> None:
        """Close the file and let another process open it."""
        self._db.close()
        os.close(self._lock)

    def is_empty(self) -> bool:
        """Whether no genesis was written yet."""
        return self._meta("genesis") is None

    def begin(self, genesis: str, genesis_hash: str, first: Commit, pulse: Pulse | None = None) -> None:
        """Write the genesis and the first block (that of the genesis, or of a checkpoint) at once.

        The keys of locked rows are new ones, where not those of the chain that this one goes on from are given.
        """
        kept_pulse = pulse or Pulse.drawn(first.block.number)
        with self._transaction():
            kept = [(name, value) for name, value in first.records.items() if value is not None]
            self._db.executemany("INSERT INTO origin VALUES (?, ?)", kept)
            rows = (
                *(("genesis", genesis), ("genesis_hash", genesis_hash)),
                *(("pulse", kept_pulse.secret.hex()), ("pulse_since", str(kept_pulse.since))),
            )
            self._db.executemany("INSERT INTO meta VALUES (?, ?)", rows)
            self._write(first)

    def genesis(self, expected_hash: str | None) -> str:
        """The stored genesis' JSON. Raises `WrongChain` where its hash is not the expected one."""
        found = self._meta("genesis_hash")
        text = self._meta("genesis")
        if found is None or text is None:
            raise StateUnusable(f"{self.folder / FILE_NAME} holds no chain; start one with a genesis")
        if expected_hash is not None and expected_hash != found:
            raise WrongChain(str(self.folder / FILE_NAME), expected_hash, found)
        return text

    def pulse(self) -> Pulse:
        """The keys of locked rows, drawn when this folder began. Raises `StateUnusable` where they are missing."""
        try:
            return _pulse(self._db, self.folder)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def records(self) -> dict[str, str]:
        """All state records of the newest block."""
        return dict(self._query("SELECT name, value FROM state"))

    def origin(self) -> dict[str, str]:
        """All state records of the first block that this store knows."""
        return dict(self._query("SELECT name, value FROM origin"))

    def signed(self, block: int) -> list[SignedCall]:
        """The calls that a block holds, in order."""
        rows = self._query("SELECT body FROM signed WHERE block = ? ORDER BY idx", block)
        return [SignedCall.model_validate_json(body) for (body,) in rows]

    def commit(self, commit: Commit, *, forget_before: int) -> None:
        """Write a block; events and epochs before `forget_before` go, and outcomes of calls that cannot return."""
        with self._transaction():
            self._write(commit)
            self._db.execute("DELETE FROM call WHERE valid_until < ?", (commit.block.number - OUTCOMES_KEPT,))
            for table in ("event", "epoch"):
                self._db.execute(f"DELETE FROM {table} WHERE block < ?", (forget_before,))  # noqa: S608
            if commit.block.number % SWEEP == 0:
                history.sweep(self._db, forget_before)

    @property
    def history(self) -> History:
        """What accounts and subnets were like."""
        return History(self._query)

    def outcome(self, call_hash: str) -> Outcome | None:
        """What became of a call whose last valid block has not passed."""
        found = self._query(
            "SELECT hash, block, valid_until, error, message FROM call WHERE hash = ?", call_hash
        )
        return Outcome(*found[0]) if found else None

    def blocks(self, after: int, limit: int) -> tuple[Block, ...]:
        """Blocks after a number, oldest first."""
        text = "SELECT number, hash, timestamp FROM block WHERE number > ? ORDER BY number LIMIT ?"
        return tuple(Block(*row) for row in self._query(text, after, limit))

    def events(self, since: int, limit: int) -> tuple[Event, ...]:
        """Events of blocks after `since`, oldest first; a last block that `limit` cuts is left out whole.

        The first block is there whole, however many it has: who asks on from it would never see the rest.
        """
        text = "SELECT block, idx, name, data FROM event WHERE block > ? ORDER BY block, idx LIMIT ?"
        rows = self._query(text, since, limit)
        if len(rows) == limit:
            first, last = rows[0][0], rows[-1][0]
            whole = "SELECT block, idx, name, data FROM event WHERE block = ? ORDER BY idx"
            rows = [row for row in rows if row[0] != last] if first != last else self._query(whole, first)
        return tuple(Event(block, idx, name, json.loads(data)) for block, idx, name, data in rows)

    def _write(self, commit: Commit) -> None:
        run = self._db.executemany
        block = commit.block
        self._db.execute("INSERT INTO block VALUES (?, ?, ?)", (block.number, block.hash, block.timestamp))
        kept = [(name, value) for name, value in commit.records.items() if value is not None]
        run("INSERT OR REPLACE INTO state VALUES (?, ?)", kept)
        run(
            "DELETE FROM state WHERE name = ?",
            [(name,) for name, value in commit.records.items() if value is None],
        )
        history.write(self._db, block.number, commit.records, commit.epochs, commit.points, commit.prices)
        outcomes = [(o.call_hash, o.block, o.valid_until, o.error, o.message) for o in commit.outcomes]
        run("INSERT INTO call VALUES (?, ?, ?, ?, ?)", outcomes)
        run(
            "INSERT INTO event VALUES (?, ?, ?, ?)",
            [(e.block, e.index, e.name, json.dumps(e.data)) for e in commit.events],
        )
        run(
            "INSERT INTO signed VALUES (?, ?, ?)",
            [(block.number, index, call.model_dump_json()) for index, call in enumerate(commit.signed)],
        )

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StateUnusable(
                f"{self.folder / FILE_NAME} has schema {version}, this program knows {SCHEMA_VERSION}; "
                "use a newer program or another state folder"
            )
        if 0 < version < SCHEMA_VERSION:
            raise StateUnusable(
                f"{self.folder / FILE_NAME} has schema {version}, this program writes {SCHEMA_VERSION}; use "
                "the program that wrote it, or start afresh with another state folder"
            )
        if version == 0:
            # executescript ends no transaction of ours: the version is written in the same one.
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _meta(self, name: str) -> str | None:
        found = self._query("SELECT value FROM meta WHERE name = ?", name)
        return found[0][0] if found else None

    def _query(self, text: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> StateUnusable:
        return StateUnusable(
            f"the chain's state {self.folder / FILE_NAME} cannot be used ({error}); "
            "restore it from a copy, make room on the disk, or start afresh with another state folder"
        )


def pulse_of(folder: Path) -> Pulse:
    """The keys of a chain that may be running, from its folder. Raises `StateUnusable`."""
    file = folder / FILE_NAME
    if not file.is_file():
        raise StateUnusable(f"{folder} holds no chain; name the folder of the one that the checkpoint is of")
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return _pulse(db, folder)
    except sqlite3.Error as error:
        raise StateUnusable(f"the keys in {file} cannot be read ({error})") from error


def _pulse(db: sqlite3.Connection, folder: Path) -> Pulse:
    found = dict(db.execute("SELECT name, value FROM meta WHERE name LIKE 'pulse%'").fetchall())
    if found.keys() != {"pulse", "pulse_since"}:
        raise StateUnusable(f"{folder / FILE_NAME} has lost the secret of its pulse; restore a copy")
    return Pulse(bytes.fromhex(found["pulse"]), int(found["pulse_since"]))


def _take_lock(folder: Path) -> int:
    """Hold the folder for this process; the lock ends with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "chain.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateUnusable(
            f"cannot use {folder}: {error.strerror}; choose a folder you may write to"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StateUnusable(
            f"{folder} is in use by another chain process; stop it or choose another folder"
        ) from error
    return handle
