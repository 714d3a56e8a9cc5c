"""What can go wrong when a sentiment model or its sentences are loaded."""

from __future__ import annotations

from pathlib import Path

from ranvier.engines.errors import ModelError


class SentimentModelError(ModelError):
    """Base of this package's errors."""


class UnknownVariant(SentimentModelError):
    """No sentiment model of that name ships."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no sentiment model {name!r}; there are {', '.join(known)}")


class WeightsMissing(SentimentModelError):
    """A weight file is not where it should be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"no weights at {path}; run `ranvier models prepare minilm`, or reinstall if it is ours"
        )


class BodyMismatch(SentimentModelError):
    """The store's body is not the one the corrections were trained on."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        self.path, self.found, self.expected = path, found, expected
        super().__init__(
            f"{path} has SHA-256 {found[:12]}, trained on {expected[:12]}; prepare the body again"
        )
