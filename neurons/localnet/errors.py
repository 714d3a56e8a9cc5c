"""Errors of a localnet run."""

from __future__ import annotations

from pathlib import Path


class LocalnetError(Exception):
    """Base: the network could not be started or did not stay up."""


class ProcessDied(LocalnetError):
    """A participant's process ended by itself."""

    def __init__(self, name: str, status: int | None, log: Path, last_words: str) -> None:
        self.name, self.status, self.log = name, status, log
        super().__init__(f"{name} ended with status {status}; the end of {log}:\n{last_words}")


class StartTimeout(LocalnetError):
    """A participant did not become ready in time."""

    def __init__(self, name: str, seconds: float, log: Path) -> None:
        self.name, self.seconds, self.log = name, seconds, log
        super().__init__(f"{name} was not ready after {seconds:.0f} s; see {log}")


class StateMismatch(LocalnetError):
    """The stored network was made with other settings."""

    def __init__(self, folder: Path, why: str) -> None:
        self.folder, self.why = folder, why
        super().__init__(
            f"the network stored in {folder} cannot be continued: {why}. Add --fresh to start anew."
        )
