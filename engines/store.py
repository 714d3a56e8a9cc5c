"""The local store of prepared models: one folder each, complete when its manifest is there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from ranvier.engines.errors import ModelNotFound, PrepareFailed

MANIFEST: Final = "manifest.json"


class Manifest(BaseModel):
    """What a prepared folder holds: file name to size in bytes and SHA-256, and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    files: dict[str, tuple[int, str]]

    @property
    def digest(self) -> str:
        """SHA-256 hex over names and hashes."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


def home() -> Path:
    """Ranvier's folder: ``$RANVIER_HOME``, else ``~/.ranvier``."""
    return Path(os.environ.get("RANVIER_HOME") or Path.home() / ".ranvier")


class Store:
    """Prepared models under ``root``, by default ``models`` in Ranvier's folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or home() / "models"

    def path(self, name: str) -> Path:
        """Where ``name`` lies or will lie."""
        return self.root / name

    def has(self, name: str) -> bool:
        """Whether ``name`` is prepared: its manifest is readable and every file has its size."""
        try:
            manifest = self.manifest(name)
        except ModelNotFound:
            return False
        return all(
            (self.path(name) / file).is_file() and (self.path(name) / file).stat().st_size == size
            for file, (size, _) in manifest.files.items()
        )

    def manifest(self, name: str) -> Manifest:
        """What ``name`` holds; raises `ModelNotFound` if it is not prepared."""
        try:
            return Manifest.model_validate_json((self.path(name) / MANIFEST).read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelNotFound(
                name, "it is not prepared", f"Run `ranvier models prepare {name}`."
            ) from error

    def check(self, name: str) -> None:
        """Hash every file; raises `PrepareFailed` naming the first that differs."""
        for file, (_, expected) in self.manifest(name).files.items():
            if sha256(self.path(name) / file) != expected:
                raise PrepareFailed(
                    name,
                    f"{file} was changed after it was prepared",
                    f"Run `ranvier models prepare --force {name}`.",
                )

    def seal(self, name: str, folder: Path, source: str) -> None:
        """Hash the files of ``folder``, write its manifest last, and move it to its place."""
        files = {
            str(path.relative_to(folder)): (path.stat().st_size, sha256(path))
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        }
        manifest = Manifest(name=name, source=source, files=files)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1))
        target = self.path(name)
        if target.exists():
            _remove(target)
        folder.replace(target)


def sha256(path: Path) -> str:
    """SHA-256 hex of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
