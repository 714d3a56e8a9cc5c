"""What may go wrong with a laboratory itself; what a subnet does wrong is in the report.

LabError
    BadSetup      the network that was asked for cannot be
    NodeFailed    a miner or validator of the laboratory ended with an error
    NotOpen       it is used outside its context
"""

from __future__ import annotations


class LabError(Exception):
    """Base of everything that `ranvier.testing` raises by itself."""


class BadSetup(LabError):
    """The network that was asked for cannot be; the message says what to change."""


class NodeFailed(LabError):
    """A node of the laboratory ended; ``name`` is its participant and the cause is chained."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(
            f"{name} ended: {reason}; nothing in a laboratory may end a node, so look at the cause"
        )


class NotOpen(LabError):
    """The laboratory is used outside its context."""

    def __init__(self) -> None:
        super().__init__("open the laboratory first: `with Lab(Subnet) as lab:` (or `async with`)")
