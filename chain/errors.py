"""What may go wrong between a caller and the chain."""

from __future__ import annotations


class ChainError(Exception):
    """Root of every error this package raises."""


class MalformedEpoch(ChainError):  # noqa: N818 - errors here say what happened
    """The input of an epoch contradicts itself; the message names what and by how much."""
