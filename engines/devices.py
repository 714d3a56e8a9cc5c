"""What a device setting names; torch is asked in a process of its own, for the front has none."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from typing import Final

from ranvier.engines.errors import ModelNotFound

ALL: Final = "cuda:all"
_COUNT: Final = "import json, torch; print(json.dumps(torch.cuda.device_count()))"


async def named(setting: str) -> list[str]:
    """Devices of a setting such as ``cpu``, ``cuda:0,cuda:1`` or ``cuda:all``. Raises `ModelNotFound`."""
    found: list[str] = []
    for one in filter(None, (part.strip() for part in setting.split(","))):
        found += [f"cuda:{number}" for number in range(await _count())] if one == ALL else [one]
    if not found:
        raise ModelNotFound(
            setting, "torch sees no CUDA device", "Use --device cpu, or a CUDA build of torch."
        )
    return found


async def _count() -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _COUNT, stdout=PIPE)
    out, _ = await process.communicate()
    return int(json.loads(out)) if process.returncode == 0 else 0
