"""The examples run as they are printed: a server process, and clients that ask it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    command = [sys.executable, EXAMPLES / "axon_alone.py", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as axon:
        assert axon.stdout is not None
        yield axon.stdout.readline().rpartition(" ")[2].strip()
        axon.terminate()  # not SIGINT: whoever runs tests in the background has it ignored
        axon.communicate(timeout=30)


def asked(*arguments: str) -> str:
    command = [sys.executable, EXAMPLES / "dendrite_alone.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_the_dendrite_asks_the_axon(port: str) -> None:
    assert asked(port, "hello") == "HELLO"


def test_an_answer_of_another_key_is_not_believed(port: str) -> None:
    assert "wrong-receiver" in asked(port, "hello", "--miner", "//Charlie")


def test_nobody_listens() -> None:
    assert asked("1").startswith("Unreachable(")
