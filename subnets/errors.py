"""Errors of the subnet framework.

SubnetError
    UnknownSubnet       no plugin of that name
    BrokenPlugin        a plugin exists and cannot be loaded
    NotCommitted        a revealed secret is not the one that was committed to
    BadName             a name that a new subnet cannot have
    FolderTaken         a new package's folder exists already
    CalibrationUnfit    a file that is no calibration (verification)
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path


class SubnetError(Exception):
    """Base of everything that the framework raises."""


class UnknownSubnet(SubnetError):
    """A name that no installed plugin has, or a reference that is not ``package.module:Class``."""

    def __init__(self, name: str, known: Sequence[str], kind: str = "subnet") -> None:
        self.name, self.known = name, tuple(known)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listed = ", ".join(known) or "none"
        super().__init__(
            f"no {kind} named {name!r} is installed.{hint} Installed: {listed}. "
            "Install its package, or name a class as package.module:Class."
        )


class BrokenPlugin(SubnetError):
    """A plugin that is installed or named, and fails to load."""

    def __init__(self, reference: str, cause: str) -> None:
        self.reference, self.cause = reference, cause
        super().__init__(f"the plugin {reference} cannot be loaded: {cause}")


class NotCommitted(SubnetError):
    """A secret whose hash is not the published one."""


class BadName(SubnetError):
    """A new subnet cannot be called so."""

    def __init__(self, name: str, rule: str) -> None:
        self.name, self.rule = name, rule
        super().__init__(f"a subnet cannot be named {name!r}: {rule}")


class FolderTaken(SubnetError):
    """Where a new package would stand, something stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} exists; choose another name, or another folder with --in")
