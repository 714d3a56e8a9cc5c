"""A hub on this machine: what a model of it would need is read from its configuration and heads, not its weights."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.models
HEAD = json.dumps({"w": {"dtype": "BF16", "shape": [50_000, 100_000], "data_offsets": [0, 10**10]}}).encode()
WEIGHTS = struct.pack("<Q", len(HEAD)) + HEAD
"""All that there is of a file of ten gigabytes."""
CONFIG = json.dumps(
    {
        "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 50000,
        "max_position_embeddings": 8192,
    }
).encode()  # fmt: skip
FILES = {"config.json": (CONFIG, len(CONFIG)), "model.safetensors": (WEIGHTS, 8 + len(HEAD) + 10**10)}


class Hub(BaseHTTPRequestHandler):
    """The routes of a hub that are asked for one model."""

    sent = 0

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if path.startswith("/api/models/owner/big"):
            body = json.dumps({"id": "owner/big", "sha": "1" * 40, "siblings": []}).encode()
            return self._reply(200, body, len(body))
        if not path.startswith("/owner/big/resolve/") or name not in FILES:
            return self._reply(404, b"", 0)
        raw, size = FILES[name]
        asked = self.headers.get("Range")
        if asked:
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            part = raw[int(begin) : int(end) + 1]
            return self._reply(206, part, len(part))
        return self._reply(200, raw, size)

    do_HEAD = do_GET

    def _reply(self, status: int, body: bytes, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size if self.command == "HEAD" else len(body)))
        self.send_header("ETag", '"' + "2" * 40 + '"')
        self.send_header("X-Repo-Commit", "1" * 40)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if self.command != "HEAD":
            Hub.sent += len(body)
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_of_a_hub_is_judged_by_its_heads(endpoint: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ranvier.neurons.cli", "models", "list", "owner/big", "--json"],
        capture_output=True, text=True, timeout=100,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["model"] == "text=owner/big"
    assert (found["parameters"], found["disk_bytes"], found["stored"]) == (5 * 10**9, 10**10, "bfloat16")
    assert found["memory_bytes"]["bfloat16"] > 10**10
    assert Hub.sent < 1 << 20, "kilobytes were fetched"
