"""The peers of the 10.x tests: neurons of ours, and the official 10.5.0 package's in an environment of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from ranvier.protocol import Reply, Synapse, Target, Tensor, keypair_from_uri

ROOT = Path(__file__).resolve().parents[3]
OFFICIAL = Path(__file__).parents[1] / "official"
PYTHON = Path(os.environ.get("RANVIER_LEGACY_PYTHON") or ROOT / ".venv-legacy" / "bin" / "python")
needs_official = pytest.mark.skipif(
    not PYTHON.exists(), reason="`make legacy` installs the official 10.5.0 package"
)
ALICE, BOB, MALLORY = (keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Mallory"))


class Chat(Synapse):
    """A question that is answered in pieces."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("prompt",)
    prompt: str

    class Reply(Reply):
        completion: str


class Scale(Synapse):
    """Tensors both ways."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("values", "factor", "more")
    values: Tensor
    factor: int = 1
    more: list[Tensor] = Field(default_factory=list)

    class Reply(Reply):
        result: Tensor


class TorchScale(Scale):
    """The same between neurons that run with ``USE_TORCH=1``."""

    legacy_torch: ClassVar[bool] = True


TorchScale.__name__ = "Scale"


def target(port: int, hotkey: str = BOB.ss58_address) -> Target:
    """An axon on this machine."""
    return Target(hotkey, "127.0.0.1", port)


def _environment(torch: bool) -> dict[str, str]:
    return {**os.environ, "USE_TORCH": "1" if torch else "0"}


async def official_dendrite(port: int, mode: str, wallets: Path, *, torch: bool = False) -> Any:
    """Let the official dendrite (//Alice) ask the axon of //Bob; what it understood."""
    process = await asyncio.create_subprocess_exec(
        *(str(PYTHON), str(OFFICIAL / "dendrite10.py"), str(port), BOB.ss58_address, mode, str(wallets)),
        env=_environment(torch),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, err.decode()
    (found,) = [line for line in out.decode().splitlines() if line.startswith("FOUND ")]
    return json.loads(found.removeprefix("FOUND "))


@contextlib.asynccontextmanager
async def official_axon(mode: str, wallets: Path, *, torch: bool = False) -> AsyncIterator[Target]:
    """The official axon, of //Bob."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        *(str(PYTHON), str(OFFICIAL / "axon10.py"), str(port), mode, str(wallets)),
        env=_environment(torch),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = b""
        while not line.startswith(b"READY"):
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line
        await _listening(port)
        yield target(port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    """The official axon says it is ready before it listens."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise AssertionError
