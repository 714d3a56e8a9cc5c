"""What a reader needs to judge figures: when, on what, with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("aiohttp", "pydantic", "bittensor-core", "cryptography", "numpy")


def described(official: str | None) -> str:
    """One paragraph. Reads the processor's name where the system tells it."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    rival = f"; the official side: {_official(official)}" if official else ""
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"{os.cpu_count()} cores of {_processor()}, {_memory()}, {platform.system()}"
    return f"{date}; {machine}; Python {platform.python_version()}, {packages}{rival}."


def load() -> str:
    """How busy the machine is: figures taken beside other work are worth less."""
    return f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} cores busy over the last minute"


def _official(python: str) -> str:
    names = ("bittensor", "aiohttp", "pydantic", "fastapi", "uvicorn")
    asked = (
        f"from importlib.metadata import version as v; print(', '.join(f'{{n}} {{v(n)}}' for n in {names!r}))"
    )
    told = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else "its interpreter does not tell its versions"


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GB"
