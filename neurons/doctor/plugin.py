"""Whether the subnet and the mining code load."""

from __future__ import annotations

import asyncio
import json
import sys

from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok
from ranvier.neurons.doctor.trial import CODE, MARK, Plugin

_STEP = "correct the name or the package; `ranvier subnets --installed` lists what can be loaded"


async def plugin(case: Case) -> Finding:
    """Subnet and mining code load in a process of their own, and take the settings."""
    settings = case.settings
    asked = {
        "path": sys.path,
        "subnet": settings.subnet,
        "miner": settings.miner if isinstance(settings, MinerSettings) else "",
        "settings": settings.settings,
    }
    status, out, complaint = await _child(json.dumps(asked, default=str))
    line = next((line for line in out.splitlines()[::-1] if line.startswith(MARK)), None)
    if line is None:
        last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        problem = f"loading {settings.subnet} ended the process with {status}: {last}"
        return fail("plugin", problem, "a plugin must not end its process when it is imported")
    found = json.loads(line.removeprefix(MARK))
    if "error" in found:
        return fail("plugin", found["error"], _STEP)
    case.plugin = Plugin(**{**found, "features": tuple(found["features"])})
    own = f", mined by {case.plugin.miner}" if case.is_miner else ""
    return ok("plugin", f"{case.plugin.subnet} from {case.plugin.module}{own}")


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
