"""For all tests: hypothesis judges what comes out, not how long a loaded machine takes for it."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("ranvier", deadline=None)
settings.load_profile("ranvier")
