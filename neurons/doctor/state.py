"""What a node has stored: whole, ours, of this release, of this chain. Read without taking a node's lock."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn
from ranvier.neurons.state.database import APPLICATION
from ranvier.neurons.state.schema import VERSION

_AFRESH = "restore a copy, or move it away to start with empty scores"


def state(case: Case) -> Finding:
    """The stored state is whole and ours."""
    assert case.hotkey is not None
    stem = f"{case.settings.netuid}-{case.hotkey}"
    if case.is_miner:
        return _ceiling(case.settings.folder / f"miner-{stem}.nonce")
    path = case.settings.folder / f"validator-{stem}.sqlite"
    if not path.exists():
        return ok("state", "none yet: scores start at zero")
    try:
        return _judge(path, case)
    except (sqlite3.Error, OSError) as error:
        return fail("state", f"{path}: {error}", _AFRESH)


def _ceiling(path: Path) -> Finding:
    if not path.exists():
        return ok("state", "none yet")
    text = path.read_text(errors="replace")
    if not (text.isascii() and text.isdigit()):
        return fail(
            "state", f"the replay ceiling {path} is damaged", "move it away and start again after 20 s"
        )
    return ok("state", "the replay ceiling is whole")


def _judge(path: Path, case: Case) -> Finding:
    connection = _read_only(path)
    try:
        health, application, version = (
            _one(connection, f"PRAGMA {name}")
            for name in ("quick_check(1)", "application_id", "user_version")
        )
        if health != "ok":
            return fail("state", f"{path} is damaged: {health}", _AFRESH)
        if application != APPLICATION:
            return fail("state", f"{path} was written by another program", "name another folder with --state")
        if version > VERSION:
            problem = f"version {version}, and this release knows up to {VERSION}"
            return fail("state", problem, "use the release that wrote it, or the copy kept beside it")
        rounds = _one(connection, "SELECT count(*) FROM rounds WHERE status = 'done'")
        stranger = _stranger(connection, case)
    finally:
        connection.close()
    if stranger:
        return fail("state", stranger, "name the chain it belongs to, or another folder with --state")
    if version < VERSION:
        step = f"it becomes version {VERSION} at the start, and a copy of the old one is kept"
        return warn("state", f"{rounds} rounds, version {version}", step)
    return ok("state", f"{rounds} rounds, version {version}")


def _stranger(connection: sqlite3.Connection, case: Case) -> str:
    """Whose it is, if it is not this node's."""
    facts: dict[str, str] = dict(connection.execute("SELECT key, value FROM facts").fetchall())
    if case.network is not None:
        mine = f"{case.network.name} {case.settings.netuid} {case.hotkey}"
        if facts.get("owner", mine) != mine:
            return f"it belongs to {facts['owner']}, this node is {mine}"
    if case.genesis is not None and facts.get("genesis", case.genesis) != case.genesis:
        return f"it is of the chain with genesis {facts['genesis'][:18]}, this one's is {case.genesis[:18]}"
    return ""


def _read_only(path: Path) -> sqlite3.Connection:
    """Without a journal nobody has it open, and it is read as it lies: SQLite would leave files beside it."""
    beside = path.with_name(path.name + "-wal").exists()
    options = "mode=ro" if beside else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=5.0)


def _one(connection: sqlite3.Connection, query: str) -> Any:
    return connection.execute(query).fetchone()[0]
