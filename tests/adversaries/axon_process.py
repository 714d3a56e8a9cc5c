"""An axon in a process of its own: `python axon_process.py '{"nonces": "FILE"}'`.

It prints its port, then for each line of standard input one line of what it holds, and ends with standard input.
Options: key, callers (URIs), nonces (a file), limits, legacy, hold (seconds of its handler), now (a clock that stands).
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any, Self

from ranvier.protocol import (
    Axon,
    Caller,
    Door,
    Limits,
    ReplayGuard,
    Reply,
    Standing,
    Synapse,
    keypair_from_uri,
)

UNLIMITED: dict[str, Any] = {"rate": 1e9, "burst": 10**9}
SECONDS = 60.0


class Echo(Synapse):
    """A text, both ways."""

    text: str

    class Reply(Reply):
        """The same."""

        text: str


def door_of(uris: list[str]) -> Door:
    """Lets in these, who all hold the same stake; //Eve is denied, all others are strangers."""
    door = Door(deny=frozenset([keypair_from_uri("//Eve").ss58_address]))
    door.update(
        {keypair_from_uri(uri).ss58_address: Standing(uid, 10**12, True) for uid, uri in enumerate(uris)}
    )
    return door


def sizes(axon: Axon) -> dict[str, int]:
    """How much there is in everything that an axon remembers."""
    service = axon._service
    caches = [
        each for each in gc.get_objects()
        if type(each) is _lru_cache_wrapper and each.__module__.startswith("ranvier.protocol")
    ]  # fmt: skip
    return {
        "nonces": len(service._replay) + len(service._replay._order),
        "rates": len(service._rate._buckets),
        "gate": len(service.gate._of_caller) + service.gate.waiting + len(service.gate._due),
        "job gate": len(service.job_gate._of_caller) + service.job_gate.waiting + len(service.job_gate._due),
        "jobs": len(service.jobs),
        "prekeys": len(service.prekeys),
        "threads": service.workers.threads,
        "synapses": len(service.served),
        "caches": sum(each.cache_info().currsize for each in caches),
    }


def _memory() -> dict[str, int]:
    """Bytes: present, and the most there ever was."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(fields[f"Vm{name}"].split()[0]) << 10 for name in ("RSS", "HWM")}


def _tell(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


async def _serve(options: dict[str, Any]) -> None:
    handled: Counter[str] = Counter()
    hold = options.get("hold", 0.0)

    async def echo(request: Echo, caller: Caller) -> Echo.Reply:
        handled[caller.hotkey] += 1
        if hold:
            await asyncio.sleep(hold)
        return Echo.Reply(text=request.text)

    axon = Axon(
        keypair_from_uri(options.get("key", "//Bob")),
        door=door_of(options.get("callers", ["//Alice"])),
        limits=Limits(**(UNLIMITED | options.get("limits", {}))),
        replay=ReplayGuard(Path(options["nonces"])) if "nonces" in options else ReplayGuard(),
        legacy=options.get("legacy", False),
        now=(lambda: int(options["now"])) if "now" in options else time.time_ns,
    )
    async with axon.serve(Echo, echo):
        _tell({"port": axon.port})
        while await asyncio.to_thread(sys.stdin.readline):
            told = {"handled": handled.total(), "endings": axon.stats, "sizes": sizes(axon), **_memory()}
            _tell(told)


@dataclass
class AxonProcess:
    """The same, seen from outside."""

    process: asyncio.subprocess.Process
    port: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def run(cls, **options: Any) -> AsyncIterator[Self]:
        """Started, and ended afterwards; raises AssertionError where it has ended before."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, json.dumps(options), stdin=pipe, stdout=pipe
        )
        assert process.stdin is not None
        try:
            axon = cls(process, options=options)
            axon.port = (await axon._told())["port"]
            yield axon
            assert process.returncode is None, "the axon died"
        finally:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
            process._transport.close()  # type: ignore[attr-defined]

    async def asked(self) -> dict[str, Any]:
        """What it holds: handled, endings, sizes, RSS and HWM in bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return await self._told()

    async def _told(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), SECONDS)
        assert line, "the axon died"
        told: dict[str, Any] = json.loads(line)
        return told


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
