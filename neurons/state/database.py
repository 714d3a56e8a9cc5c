"""One SQLite file with one writer: an exclusive lock beside it, WAL, full synchronisation, checked when opened."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ranvier.neurons.errors import CorruptState, StateError, StateInUse, StateMismatch
from ranvier.neurons.state.schema import MIGRATIONS, SCHEMA, VERSION

APPLICATION: Final = 0x52414E56
"""Marks the file as ours ("RANV")."""


class Database:
    """An open, locked, checked file. Close it, or use it with ``with``.

    Calls block for the length of one small transaction (a few milliseconds on a disk that keeps its promises), so
    they are made on the event loop.
    """

    def __init__(self, path: Path) -> None:
        """Raises `StateInUse`, `CorruptState` or `StateError`; the file is made where it is missing."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(path)
        except OSError as error:
            raise StateError(
                path, f"cannot be used: {error.strerror}", "Choose another folder with --state."
            ) from error
        try:
            self._connection = _open(path)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the file, then give up the lock."""
        self._connection.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on disk when it ends. Transactions do not nest."""
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        with self._guarded():
            self._connection.execute("COMMIT")

    def execute(self, statement: str, *values: Any) -> int:
        """Run one writing statement; the id of the inserted row."""
        with self._guarded():
            return int(self._connection.execute(statement, values).lastrowid or 0)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._guarded():
            return self._connection.execute(statement, values).fetchall()

    def fact(self, key: str) -> str | None:
        """A remembered fact."""
        found = self.rows("SELECT value FROM facts WHERE key = ?", key)
        return str(found[0][0]) if found else None

    def remember(self, key: str, value: str) -> None:
        """Store a fact over the old one."""
        self.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key,
            value,
        )

    def claim(self, owner: str) -> None:
        """Bind a new file to ``owner`` (network, netuid and hotkey); raises `StateMismatch` for another's."""
        found = self.fact("owner")
        if found is None:
            self.remember("owner", owner)
        elif found != owner:
            raise StateMismatch(
                self.path, f"belongs to {found}, not to {owner}", "Name another folder with --state."
            )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise CorruptState(self.path, str(error)) from error


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold ``path`` for this process only, however it ends; raises `StateInUse`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = _lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """An exclusive lock that ends with the process, however that ends."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StateInUse(path) from error
    return descriptor


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    try:
        _prepare(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise CorruptState(path, str(error)) from error
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    (health,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if health != "ok":
        raise CorruptState(path, str(health))
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        connection.executescript(
            f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
        )
    elif application != APPLICATION:
        raise CorruptState(path, "it was written by another program")
    elif version > VERSION:
        raise StateError(
            path,
            f"has version {version}, and this release knows up to {VERSION}",
            "Use the release that wrote it, or restore the copy that it kept beside the file.",
        )
    else:
        _migrate(connection, path, version)


def _migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Bring a file of an older release up to date, one version after the other; a copy of the old one is kept."""
    if version == VERSION:
        return
    copy = path.with_name(f"{path.name}.v{version}")
    if not copy.exists():
        draft = copy.with_name(copy.name + ".new")
        draft.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(draft),))
        draft.chmod(0o600)
        draft.replace(copy)
    for following in range(version + 1, VERSION + 1):
        script = MIGRATIONS[following]
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {following}; COMMIT;")
