"""For all tests: hypothesis judges what comes out, not how long a loaded machine takes for it; one thread computes."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Two test workers with a thread for each core would wait for one another."""

settings.register_profile("ranvier", deadline=None)
settings.load_profile("ranvier")
