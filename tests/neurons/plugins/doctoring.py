"""What the tests of the doctor share: a run of it, read, and servers that misbehave."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ranvier.engines import ModelInfo
from ranvier.engines.codec import InfoReply

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


@contextlib.contextmanager
def engine_of(*models: ModelInfo) -> Iterator[str]:
    """The endpoint of an engine that tells of these models, and of nothing else."""
    said = InfoReply(models=models).model_dump_json().encode()

    class Told(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as listener:
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()
        thread.join(5)


def _accept(listener: socket.socket, held: list[socket.socket], greeting: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer = listener.accept()[0]
            held.append(peer)
            if greeting:
                peer.sendall(greeting)
                peer.close()
