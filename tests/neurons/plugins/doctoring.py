"""What the tests of the doctor share: a run of it, read, and servers that misbehave."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

KEYS = {"check", "status", "finding", "next_step", "node"}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def examined(world: Any, *arguments: str, rc: int = 0, **environment: str) -> dict[str, dict[str, str]]:
    """`ranvier doctor ARGUMENTS --json`: findings by check. Every one that is not well says what to do."""
    done = world.run("doctor", *arguments, "--json", **environment)
    assert done.returncode == rc, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert set(said) == {"version", "role", "ok", "findings"}
    assert said["ok"] == (rc == 0)
    for one in said["findings"]:
        assert set(one) == KEYS
        assert "cannot be examined" not in one["finding"], one
        assert one["next_step"] or one["status"] in ("ok", "skipped"), one
    return {one["check"]: one for one in said["findings"]}


def names(found: dict[str, dict[str, str]], *statuses: str) -> set[str]:
    return {name for name, one in found.items() if one["status"] in statuses}


@contextlib.contextmanager
def server(greeting: bytes = b"") -> Iterator[int]:
    """The port of a program that accepts, greets if it has a greeting, and says nothing else."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, held, greeting), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for one in held:
        one.close()


def _accept(listener: socket.socket, held: list[socket.socket], greeting: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer = listener.accept()[0]
            held.append(peer)
            if greeting:
                peer.sendall(greeting)
                peer.close()
