"""The validator's secret of an epoch: committed to before it is used, revealed after it is spent."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Self

from ranvier.subnets.errors import NotCommitted


@dataclass(frozen=True, slots=True)
class EpochSecret:
    """32 random bytes that seed every task and audit of one epoch of one validator.

    ``epoch`` is the block of the last step before it. Journal `commitment` before the first round and publish the
    secret after the last: then anybody can recompute the tasks, and nobody could before.
    """

    epoch: int
    secret: bytes = field(repr=False)

    @classmethod
    def draw(cls, epoch: int) -> Self:
        """A fresh one from the operating system."""
        return cls(epoch, secrets.token_bytes(32))

    @property
    def commitment(self) -> str:
        """SHA-256 hex over a domain line, the epoch and the secret."""
        return _commitment(self.epoch, self.secret)


def check_revealed(epoch: int, secret: bytes, commitment: str) -> None:
    """Raise `NotCommitted` unless ``secret`` is the one that ``commitment`` was published for."""
    if _commitment(epoch, secret) != commitment:
        raise NotCommitted(f"the secret revealed for epoch {epoch} is not the one committed to")


def _commitment(epoch: int, secret: bytes) -> str:
    return hashlib.sha256(b"ranvier-epoch-secret/1\n%d\n" % epoch + secret).hexdigest()
