"""Engines as processes of their own, with the processor time and memory of all that belongs to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
CLI = (sys.executable, "-m", "ranvier.neurons.cli")
BARE = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_parallel, params.n_ctx = int(sys.argv[2]), 2048 * int(sys.argv[2])
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.n_gpu_layers, params.warmup, params.cont_batching, params.verbosity = 0, True, True, 1
server = xllamacpp.Server(params)
print("engine at", server.listening_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Engine:
    """A process that serves, and its children."""

    process: subprocess.Popen[str]
    endpoint: str

    @property
    def children(self) -> list[int]:
        """Worker processes, the warm spare one among them."""
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def spare(self) -> int:
        """The warm one; 0 where there is none."""
        return next(
            (pid for pid in self.children if b"--warm" in Path(f"/proc/{pid}/cmdline").read_bytes()), 0
        )

    @property
    def cpu(self) -> float:
        """Seconds of processor time of all of them so far."""
        return sum(cpu_of(pid) for pid in (self.process.pid, *self.children))


@contextmanager
def ours(*flags: str) -> Iterator[Engine]:
    """`ranvier engine` with one thread."""
    with tempfile.TemporaryDirectory() as folder:
        where = ("--listen", f"unix:{folder}/engine.sock", "--threads", "1")
        with _running((*CLI, "engine", *where, *flags)) as engine:
            yield engine


@contextmanager
def bare_llama(gguf: Path, slots: int) -> Iterator[Engine]:
    """llama.cpp's own server with one thread, and nothing of ours."""
    with _running((sys.executable, "-c", BARE, str(gguf), str(slots))) as engine:
        yield engine


@contextmanager
def _running(command: tuple[str, ...]) -> Iterator[Engine]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("engine at "):
            raise RuntimeError(f"{command} did not serve: {line!r}")
        yield Engine(process, line.removeprefix("engine at ").strip())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def cpu_of(pid: int) -> float:
    """Seconds of processor time of one process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid: int) -> float:
    """MiB of memory of one process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
