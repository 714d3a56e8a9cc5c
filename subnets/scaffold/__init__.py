"""Making a package for a subnet of one's own, from templates."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

from ranvier.subnets.discover import names
from ranvier.subnets.errors import BadName, FolderTaken

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,39}")
_SUFFIX: Final = ".tmpl"


def create(name: str, folder: Path) -> Path:
    """Make the package ``ranvier-NAME`` in ``folder`` and return where it stands.

    The package is whole: request, tasks, miner, cheats, scores, and tests that pass. Raises `BadName` or
    `FolderTaken`; nothing is written then.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name.endswith("_"):
        raise BadName(name, "use 2 to 40 small letters, digits and _, beginning with a letter")
    if name in names():
        raise BadName(name, "a subnet of that name is installed already")
    home = folder / f"ranvier-{name.replace('_', '-')}"
    if home.exists():
        raise FolderTaken(home)
    words = {"name": name, "package": f"ranvier_{name}", "project": home.name, "Name": _camel(name)}
    for template in _templates(files(__package__) / "templates", Path()):
        _write(template, home, words)
    return home


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _templates(folder: Traversable, place: Path) -> list[tuple[Path, str]]:
    """Where each file goes, below the package's folder, and its template."""
    found = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            found += _templates(entry, place / entry.name)
        elif entry.name.endswith(_SUFFIX):
            found.append((place / entry.name.removesuffix(_SUFFIX), entry.read_text("utf-8")))
    return found


def _write(template: tuple[Path, str], home: Path, words: dict[str, str]) -> None:
    place, text = template
    path = home / Path(*(words["package"] if part == "package" else part for part in place.parts))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(text).substitute(words), "utf-8")
