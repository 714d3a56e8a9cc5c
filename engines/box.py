"""The machine: processors, memory within its limits, graphics cards. Torch is asked in a process of its own."""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ASK: Final = """
import json, torch
found = []
for number in range(torch.cuda.device_count()):
    free, total = torch.cuda.mem_get_info(number)
    found.append([number, torch.cuda.get_device_name(number), total, free])
print(json.dumps({"torch": torch.__version__, "gpus": found}))
"""
SECONDS: Final = 120.0
"""For torch to look; its first import may take long."""
_BFLOAT16: Final = ({"avx512vl", "avx512bw", "avx512dq"}, {"bf16"})
"""What processors say for themselves on which torch multiplies bfloat16: those of x86 and of ARM."""
_NO_LIMIT: Final = 1 << 60
"""What version 1 of control groups says for "none" is a number of about this size."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card that torch can use; bytes."""

    index: int
    name: str
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Box:
    """What a process may use here. ``memory`` and ``available`` are bytes, ``cores`` may be a fraction."""

    cpu: str
    cores: float
    memory: int
    available: int
    gpus: tuple[Gpu, ...]
    lack: str
    """Why there is no GPU; empty where there is one."""
    bfloat16: bool
    """Whether the CPU multiplies it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the control groups that this process is in; None where there is none."""

    memory: int | None
    used: int
    cores: float | None


def look(root: Path = Path("/")) -> Box:
    """Look at this machine; takes seconds, for torch is imported elsewhere."""
    memory, available = memory_now(root)
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    gpus, lack = _gpus()
    return Box(
        cpu_name(root),
        min(cores, limits_of(root).cores or cores),
        memory,
        available,
        gpus,
        "" if gpus else lack,
        multiplies_bfloat16(root),
    )


def limits_of(root: Path = Path("/")) -> Limits:
    """The narrowest limits from this process's control groups up to the root, of version 1 or 2."""
    memory, used, cores = None, 0, None
    for folder in _groups(root, "memory"):
        here = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if here is not None and here < _NO_LIMIT and (memory is None or here < memory):
            memory, used = here, _used(folder)
    for folder in _groups(root, "cpu"):
        here_cores = _quota(folder)
        if here_cores is not None:
            cores = min(cores or here_cores, here_cores)
    return Limits(memory, used, cores)


@functools.cache
def cpu_name(root: Path = Path("/")) -> str:
    """As the processor calls itself."""
    for line in _lines(root / "proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def multiplies_bfloat16(root: Path = Path("/")) -> bool:
    """Whether torch multiplies bfloat16 on this processor, as `ranvier.engines.wide` needs to know; it is not asked.

    False where the system does not say what the processor can: models then count as larger than they may be.
    """
    said = (line.partition(":") for line in _lines(root / "proc/cpuinfo"))
    able = next((set(rest.split()) for name, _, rest in said if name.strip() in ("flags", "Features")), set())
    return any(needed <= able for needed in _BFLOAT16)


def memory_now(root: Path = Path("/")) -> tuple[int, int]:
    """Total and available bytes within the limits."""
    found, limits = _meminfo(root), limits_of(root)
    total, available = found.get("MemTotal", 0), found.get("MemAvailable", 0)
    if limits.memory is None:
        return total, available
    return min(total, limits.memory), max(min(available, limits.memory - limits.used), 0)


def _meminfo(root: Path) -> dict[str, int]:
    """Bytes by name."""
    pairs = (line.partition(":") for line in _lines(root / "proc/meminfo"))
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in pairs if rest.strip()}


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that bind this process, the nearest first."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / controller
        else:
            continue
        here = top / path.strip("/")
        while True:
            if here.is_dir():
                yield here
            if here == top or top not in here.parents:
                break
            here = here.parent


def _used(folder: Path) -> int:
    """Bytes in use that cannot be taken back: files that are cached can."""
    used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
    facts = dict(line.split(maxsplit=1) for line in _lines(folder / "memory.stat") if " " in line)
    cached = int(facts.get("inactive_file", 0)) + int(facts.get("active_file", 0))
    return max(used - cached, 0)


def _quota(folder: Path) -> float | None:
    both = next(iter(_lines(folder / "cpu.max")), "").split()
    if len(both) == 2 and both[0] != "max":
        return int(both[0]) / int(both[1])
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _number(path: Path) -> int | None:
    """None where it does not exist or says "max"."""
    text = next(iter(_lines(path)), "").strip()
    return int(text) if text.lstrip("-").isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    """What torch can use, or why that is nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return (), f"torch did not answer within {SECONDS:g} s"
    except (ValueError, IndexError):
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return (), f"torch cannot be asked ({last[0][:160]})"
    gpus = tuple(Gpu(*one) for one in found["gpus"])
    return gpus, f"torch {found['torch']} sees none{_installed()}"


def _installed() -> str:
    """What the driver sees where torch sees nothing."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    names = ", ".join(done.stdout.split("\n")).strip(", ")
    return f", but the driver sees {names}: install a CUDA build of torch" if names else ""
