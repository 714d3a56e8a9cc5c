"""How much memory this process may still take: of the machine, of its control group, and of its own limits."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

UNKNOWN: Final = 1 << 62
"""Where nothing says how much there is."""
RESERVE: Final = 128 << 20
"""Bytes that must be free beside what is counted: libraries that get no memory may end the process."""
WORKING: Final = 128 << 20
"""Bytes that a process must have beside that for its work."""
_GROUP: Final = Path("/sys/fs/cgroup")


def limit(most: int) -> None:
    """Let this process have so many bytes of data at most: what asks for more gets an error instead of a death.

    Weights that are read from a file as they lie there do not count.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def free(most: int = UNKNOWN) -> int:
    """Bytes that may still be taken, `RESERVE` left alone; the least of all bounds that are known.

    ``most`` is a bound that `limit` will set later, once all is loaded.
    """
    coming = most - _fields(Path("/proc/self/status")).get("VmData", 0)
    return max(min(coming, *_bounds()) - RESERVE, 0)


def check(most: int) -> None:
    """Raises ValueError where a bound of so many bytes leaves too little beside what the process has."""
    used = _fields(Path("/proc/self/status")).get("VmData", 0)
    needed = used + RESERVE + WORKING
    if needed > most:
        raise ValueError(
            f"a memory of {most >> 20} MiB is not enough: with its models loaded a worker has {used >> 20} MiB. "
            f"Give it {-(-needed >> 20)} MiB or more"
        )


def _bounds() -> Iterator[int]:
    machine, own = _fields(Path("/proc/meminfo")), _fields(Path("/proc/self/status"))
    if "MemAvailable" in machine:
        yield machine["MemAvailable"]
    for kind, name in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY and name in own:
            yield soft - own[name]
    yield from _group_bounds()


def _group_bounds() -> Iterator[int]:
    """Version 2 of control groups, which is what containers and units of systemd have."""
    try:
        own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
        folder = _GROUP / own
        most, used = (folder / "memory.max").read_text().strip(), (folder / "memory.current").read_text()
        pages = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return
    if most != "max":  # what was read from files is given back when it is needed
        yield int(most) - int(used) + int(pages.get("inactive_file", 0))


def _fields(path: Path) -> dict[str, int]:
    """``name: number kB`` as bytes; nothing where there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    parts = [line.split() for line in lines]
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in parts if words[2:] == ["kB"]}
