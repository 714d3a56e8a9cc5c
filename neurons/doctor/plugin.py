"""Whether the subnet and the mining code load."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok
from ranvier.neurons.doctor.trial import CODE, MARK, Plugin

_STEP = "correct the name or the package; `ranvier subnets --installed` lists what can be loaded"


async def plugin(case: Case) -> Finding:
    """Subnet and mining code load in a process of their own, and take the settings."""
    settings = case.settings
    asked = {
        "call": "load",
        "subnet": settings.subnet,
        "miner": settings.miner if isinstance(settings, MinerSettings) else "",
        "settings": settings.settings,
    }
    found = await tried(asked)
    if isinstance(found, str):
        problem = f"loading {settings.subnet} {found}"
        return fail("plugin", problem, "a plugin must not end its process when it is imported")
    if "error" in found:
        return fail("plugin", found["error"], _STEP)
    case.plugin = Plugin(**{**found, "features": tuple(found["features"])})
    own = f", mined by {case.plugin.miner}" if case.is_miner else ""
    return ok("plugin", f"{case.plugin.subnet} from {case.plugin.module}{own}")


async def tried(asked: dict[str, Any]) -> dict[str, Any] | str:
    """What a process of its own said (see `ranvier.neurons.doctor.trial`), or how it ended without a word."""
    status, out, complaint = await _child(json.dumps({"path": sys.path, **asked}, default=str))
    line = next((line for line in out.splitlines()[::-1] if line.startswith(MARK)), None)
    if line is None:
        last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        return f"ended the process with {status}: {last}"
    said: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return said


async def _child(asked: str) -> tuple[int, str, str]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", CODE, asked),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode or 0, out.decode("utf-8", "replace"), complaint.decode("utf-8", "replace")
