"""Folders: room, and the right to write."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from ranvier.neurons.config.models import home
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn

LITTLE: Final = 1 << 30
NOTHING: Final = 100 << 20


def disk(case: Case) -> Finding:
    """Where the state lies."""
    return _folder("disk", case.settings.folder, "--state")


def models() -> Finding:
    """Where prepared models lie; they are large, and a node that uses another machine's engine needs none."""
    return _folder("model folder", home() / "models", "RANVIER_HOME")


def _folder(check: str, folder: Path, setting: str) -> Finding:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return fail(check, f"{there} is no folder", f"move it away, or name another with {setting}")
    if not os.access(there, os.W_OK | os.X_OK):
        step = f"give this user the right, or name another folder with {setting}"
        return fail(check, f"{there} cannot be written by this user", step)
    free = shutil.disk_usage(there).free
    said = f"{free / 2**30:.1f} GiB free in {folder}" + ("" if there == folder else " (made when needed)")
    if free < NOTHING:
        return fail(check, said, "make room: nothing could be stored")
    return warn(check, said, "make room soon") if free < LITTLE else ok(check, said)
