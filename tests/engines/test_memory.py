"""What a process finds of its own bounds, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIMITED = """
from ranvier.engines import memory
before = memory.free()
memory.limit(512 << 20)
after = memory.free()
assert after < 512 << 20 < before, (before, after)
held = bytearray(200 << 20)
assert memory.free() <= after - (199 << 20), "what was taken is gone"
try:
    bytearray(512 << 20)
except MemoryError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="bounds are read where Linux tells them")
def test_a_bound_is_known_and_kept() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True)
    assert done.stdout.strip() == "refused", done.stderr
