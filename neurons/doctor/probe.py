"""Who answers at an address, seen from a process of its own: what it can reach, other processes can reach."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ranvier.protocol import Code
from ranvier.protocol.btauth import (
    HOTKEY_HEADER,
    NONCE_HEADER,
    RECEIVER_HEADER,
    SIGNATURE_HEADER,
    VERSION_HEADER,
)

SECONDS: Final = 8.0
_HERE: Final = b"ranvier-doctor"
# A forwarder closes without a word where nobody listens behind it: http.client reports that as an OSError, too.
_CHILD: Final = """
import http.client, json, sys
host, port, headers = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
try:
    line = http.client.HTTPConnection(host, port, timeout=4.0)
    line.request("GET", "/", headers=headers)
    answer = line.getresponse()
    print("answer", answer.read(300).decode("utf-8", "replace"))
except OSError as error:
    print("nobody", error)
except http.client.HTTPException as error:
    print("other", type(error).__name__)
"""


class Who(Enum):
    """Who answers."""

    NOBODY = "nobody"
    DOCTOR = "the doctor"
    """`listening`, which waits for it."""
    OURS = "our axon"
    OTHER_HOTKEY = "the axon of another hotkey"
    OTHER = "another program"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the probe met, and its words."""

    who: Who
    detail: str


async def probe(host: str, port: int, hotkey: str | None) -> Seen:
    """Ask `host`:`port` whose axon it is.

    The request carries a signature of zeros, so an axon refuses it: as not signed where it is for its hotkey, as for
    another where it is not. It keeps nothing of such a request.
    """
    headers = json.dumps(_headers(hotkey or ""))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", _CHILD, host, str(port), headers), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await child.communicate()
    except TimeoutError:
        return Seen(Who.NOBODY, "timed out")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return _read(*out.decode("utf-8", "replace").strip().partition(" ")[::2])


@contextlib.asynccontextmanager
async def listening(host: str, port: int) -> AsyncIterator[str]:
    """Answer in an axon's place for a while; yields why that is impossible, or nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_HERE)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + _HERE)
            await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(answer, host, port)
    except OSError as error:
        yield error.strerror or str(error)
        return
    async with server:
        yield ""


def _headers(hotkey: str) -> dict[str, str]:
    return {
        VERSION_HEADER: "1",
        HOTKEY_HEADER: hotkey,
        RECEIVER_HEADER: hotkey,
        NONCE_HEADER: str(time.time_ns()),
        SIGNATURE_HEADER: "0x" + "00" * 64,
    }


def _read(kind: str, said: str) -> Seen:
    if kind == "nobody":
        return Seen(Who.NOBODY, said)
    if said == _HERE.decode():
        return Seen(Who.DOCTOR, said)
    try:
        code = json.loads(said)["code"]
    except (ValueError, KeyError, TypeError):
        return Seen(Who.OTHER, said[:60])
    return Seen(Who.OTHER_HOTKEY if code == Code.WRONG_RECEIVER else Who.OURS, said[:60])
