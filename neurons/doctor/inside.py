"""Inside the node: plugin, engine, disk, state."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineError
from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.context import require_engine, subnet_settings
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn
from ranvier.neurons.errors import ConfigError
from ranvier.neurons.state.database import APPLICATION
from ranvier.neurons.state.schema import VERSION
from ranvier.subnets import SubnetError, load_miner, load_subnet

LITTLE: Final = 1 << 30
NOTHING: Final = 100 << 20


async def plugin(case: Case) -> Finding:
    """Subnet and mining code load, and take the settings."""
    settings = case.settings
    try:
        case.subnet = load_subnet(settings.subnet)
        subnet_settings(case.subnet, settings.settings)
        code = settings.miner if isinstance(settings, MinerSettings) else ""
        case.miner = load_miner(code) if code else case.subnet.miner
    except (SubnetError, ConfigError) as error:
        return fail("plugin", str(error), "`ranvier subnets --installed` lists what can be loaded")
    own = f", mined by {case.miner.__module__}.{case.miner.__qualname__}" if case.is_miner else ""
    return ok("plugin", f"{case.subnet.name} from {case.subnet.__module__}{own}")


async def engine(case: Case) -> Finding:
    """The engine answers and offers what the subnet needs, the model among it."""
    assert case.subnet is not None
    need = case.subnet.engine
    if need is None and not case.settings.engine:
        return ok("engine", f"subnet {case.subnet.name} needs none")
    if need is None:
        return warn("engine", f"{case.settings.engine} is named, and the subnet needs none", "leave it out")
    model = case.settings.model if isinstance(case.settings, MinerSettings) else ""
    try:
        client = None
        if case.settings.engine:
            client = EngineClient(case.settings.engine)
            await client.__aenter__()
            case.open.append(_Closing(client))
        await require_engine(case.subnet, client, model or None)
    except EngineError as error:
        return fail("engine", str(error), "`ranvier engine` starts one; name it with --engine")
    case.engine = client
    return ok("engine", f"{case.settings.engine} offers {need.kind}" + (f", model {model}" if model else ""))


class _Closing:
    def __init__(self, client: EngineClient) -> None:
        self._client = client

    async def close(self) -> None:
        """As the case closes what it opened."""
        await self._client.__aexit__(None, None, None)


async def disk(case: Case) -> Finding:
    """Room and the right to write where the state lies."""
    folder = case.settings.folder
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return fail(
            "disk", f"{there} cannot be written", "choose another --state, or give the user the right"
        )
    free = shutil.disk_usage(there).free
    said = f"{free / 2**30:.1f} GiB free at {there}"
    if free < NOTHING:
        return fail("disk", said, "make room: the state could not be written")
    return warn("disk", said, "make room") if free < LITTLE else ok("disk", said)


async def state(case: Case) -> Finding:
    """The stored state is whole and ours; read-only, also beside a running node."""
    assert case.hotkey is not None
    stem = f"{case.settings.netuid}-{case.hotkey}"
    if case.is_miner:
        return _nonces(case.settings.folder / f"miner-{stem}.nonce")
    path = case.settings.folder / f"validator-{stem}.sqlite"
    if not path.exists():
        return ok("state", "none yet: scores start at zero")
    try:
        return _read_state(path, case)
    except sqlite3.Error as error:
        return fail("state", f"{path}: {error}", "restore a copy, or move it away to start with empty scores")


def _nonces(path: Path) -> Finding:
    if not path.exists():
        return ok("state", "none yet")
    text = path.read_text(errors="replace")
    if not (text.isascii() and text.isdigit()):
        return fail("state", f"{path} is damaged", "move it away and start again after 20 seconds")
    return ok("state", "the replay ceiling is whole")


def _read_state(path: Path, case: Case) -> Finding:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        _snapshot(path, copy)
        connection = sqlite3.connect(copy)
        try:
            (health,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            owner = connection.execute("SELECT value FROM facts WHERE key = 'owner'").fetchone()
            rounds = connection.execute("SELECT count(*) FROM rounds WHERE status = 'done'").fetchone()[0]
        finally:
            connection.close()
    if health != "ok" or application != APPLICATION:
        what = str(health) if health != "ok" else "it was written by another program"
        return fail("state", f"{path}: {what}", "restore a copy, or move it away to start with empty scores")
    if version > VERSION:
        return fail(
            "state", f"version {version}, this release knows {VERSION}", "use the release that wrote it"
        )
    network = case.network.name if case.network is not None else None
    if network is not None and owner is not None and owner[0].split(" ", 1)[0] != network:
        return fail("state", f"it belongs to {owner[0]}", "name another folder with --state")
    if version < VERSION:
        return warn(
            "state", f"{rounds} rounds, version {version}", f"it becomes version {VERSION} at the start"
        )
    return ok("state", f"{rounds} rounds, version {version}")


def _snapshot(path: Path, copy: Path) -> None:
    """SQLite's own backup, that a running writer does not tear."""
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
