"""Files and folders that are imported instead of the package of the same name."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ranvier.neurons.doctor.finding import Finding, fail, ok

MODULES: Final = {
    "aiohttp": "aiohttp",
    "pydantic": "pydantic",
    "numpy": "numpy",
    "bittensor-core": "bittensor_core",
    "cryptography": "cryptography",
    "typer": "typer",
    "rich": "rich",
    "prometheus-client": "prometheus_client",
    "torch": "torch",
    "transformers": "transformers",
    "diffusers": "diffusers",
    "bittensor": "bittensor",
}
"""Distributions that a node or an engine imports, and the names by which they are imported."""


def shadows() -> Finding:
    """Every package, the standard library's too, is imported from where it was installed."""
    found = [*_packages(), *_standard(), *_ranvier()]
    if not found:
        return ok("shadowed imports", "every package is the installed one")
    name, place = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    step = f"rename {place}, or start in another folder and without it in PYTHONPATH"
    return fail("shadowed imports", f"`import {name}` takes {place}{more}", step)


def _packages() -> Iterator[tuple[str, Path]]:
    for distribution, module in MODULES.items():
        origin = _origin(module)
        if origin is None:
            continue
        try:
            found = importlib.metadata.distribution(distribution)
        except importlib.metadata.PackageNotFoundError:
            yield module, origin
            continue
        # One that is developed in place lies wherever its author wants.
        home = Path(str(found.locate_file(""))).resolve()
        if found.read_text("direct_url.json") is None and not origin.is_relative_to(home):
            yield module, origin


def _standard() -> Iterator[tuple[str, Path]]:
    """A ``types.py`` or ``random.py`` in a folder that is searched before the standard library."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    for entry in sys.path:
        folder = Path(entry or ".").resolve()
        if folder == library:
            return
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            name = path.stem if path.suffix == ".py" else path.name if (path / "__init__.py").exists() else ""
            if name in sys.stdlib_module_names:
                yield name, path


def _ranvier() -> Iterator[tuple[str, Path]]:
    """Two Ranviers: the one that runs is not the one that a plugin would import."""
    running = Path(sys.modules["ranvier"].__file__ or "").resolve()
    spec = importlib.machinery.PathFinder.find_spec("ranvier")
    if spec is not None and spec.origin and Path(spec.origin).resolve() != running:
        yield "ranvier", Path(spec.origin).resolve()


def _origin(module: str) -> Path | None:
    """The file that an import takes, None where there is none; a folder without __init__.py holds nothing."""
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).resolve() if spec is not None and spec.origin else None
