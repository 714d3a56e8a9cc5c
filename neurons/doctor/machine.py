"""The machine and the environment: Python, packages, what shadows them, limits."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ranvier.neurons.doctor.finding import Finding, fail, ok, warn

OLDEST: Final = (3, 11)
FEW_FILES: Final = 1024
EXTRAS: Final = {
    "models": ("torch", "transformers", "diffusers", "safetensors", "gguf", "pillow"),
    "subtensor": ("bittensor",),
}
"""Distributions by extra."""
BASE: Final = {
    "aiohttp": "aiohttp",
    "pydantic": "pydantic",
    "numpy": "numpy",
    "bittensor-core": "bittensor_core",
    "cryptography": "cryptography",
    "typer": "typer",
    "rich": "rich",
    "prometheus-client": "prometheus_client",
}
"""Distributions of the base install and the names they are imported by."""
HEAVY: Final = {
    "torch": "torch",
    "transformers": "transformers",
    "diffusers": "diffusers",
    "bittensor": "bittensor",
}


def examine_machine() -> Iterator[Finding]:
    """One finding for each."""
    yield python()
    yield packages()
    yield extras()
    yield shadows()
    yield files()


def python() -> Finding:
    """The interpreter's version."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST:
        return fail("python", f"Python {found}", "use Python 3.11 or newer")
    return ok("python", f"Python {found}")


def packages() -> Finding:
    """The base install is whole."""
    missing = [name for name in BASE if _version(name) is None]
    if missing:
        return fail("packages", f"missing: {', '.join(missing)}", "install again: `pip install ranvier`")
    return ok("packages", f"ranvier {_version('ranvier') or 'from a checkout'} and its {len(BASE)} packages")


def extras() -> Finding:
    """Which extras are there; what a node needs of them is checked with the node."""
    said = []
    for extra, names in EXTRAS.items():
        missing = [name for name in names if _version(name) is None]
        if not missing:
            said.append(f"{extra}: yes")
        elif len(missing) == len(names):
            said.append(f"{extra}: no")
        else:
            return warn(
                "extras",
                f"{extra} is incomplete: {', '.join(missing)} missing",
                f"`pip install 'ranvier[{extra}]'`",
            )
    return ok("extras", "; ".join(said))


def shadows() -> Finding:
    """Whether a file or folder somewhere on the path is imported instead of an installed package."""
    for distribution, module in {**BASE, **HEAVY}.items():
        home = _home(distribution)
        spec = importlib.util.find_spec(module) if home else None
        if home is None or spec is None:
            continue
        origin = Path(spec.origin or next(iter(spec.submodule_search_locations or ("",)))).resolve()
        if not origin.is_relative_to(home):
            step = f"rename or move {origin}, or start in another folder and without PYTHONPATH"
            return fail("shadowed imports", f"`import {module}` takes {origin}", step)
    ours = Path(__file__).resolve().parents[2]
    loaded = importlib.util.find_spec("ranvier")
    if loaded is not None and loaded.origin is not None:
        first = Path(loaded.origin).resolve().parent
        parts = (first, first / "neurons")
        if not any(
            Path(__file__).resolve().is_relative_to(part.resolve()) for part in parts if part.exists()
        ):
            return fail(
                "shadowed imports", f"`import ranvier` takes {first}, this is {ours}", "remove one of the two"
            )
    return ok("shadowed imports", "every package is the installed one")


def files() -> Finding:
    """How many files and sockets the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        step = "raise it: `ulimit -n 65536`, or LimitNOFILE= in the unit"
        return warn("open files", f"at most {soft}", step)
    return ok("open files", "unlimited" if soft == resource.RLIM_INFINITY else f"at most {soft}")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _home(distribution: str) -> Path | None:
    """Where a distribution is installed; None for one that is not, or that is developed in place."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    return None if found.read_text("direct_url.json") else Path(str(found.locate_file(""))).resolve()
