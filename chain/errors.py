"""What may go wrong between a caller and the chain."""

from __future__ import annotations

from pathlib import Path

from ranvier.chain.remedies import remedy


class ChainError(Exception):
    """Root of every error this package raises."""


class MalformedEpoch(ChainError):
    """The input of an epoch contradicts itself; the message names what and by how much."""


class ChainUnreachable(ChainError):
    """No connection to the chain: `endpoint` did not answer because of `reason`."""

    def __init__(self, endpoint: str, reason: str) -> None:
        self.endpoint, self.reason = endpoint, reason
        ours = endpoint.startswith("http")
        advice = (
            "start it with `ranvier chain` or name another"
            if ours
            else "check the way to it, or name another node"
        )
        super().__init__(f"the chain at {endpoint} cannot be reached ({reason}); {advice}")


class ChainTimeout(ChainError):
    """The chain did not finish within `deadline` seconds. A submitted call may still be carried out."""

    def __init__(self, what: str, deadline: float) -> None:
        self.what, self.deadline = what, deadline
        super().__init__(
            f"{what} did not finish within {deadline:g} s; look whether it took effect before trying again"
        )


class CallRefused(ChainError):
    """The chain refused a call; `name` is the chain's own error name, `call` the kind of call, `next_step` what to
    do about it (empty where nobody knows).
    """

    def __init__(self, name: str, message: str, call: str, next_step: str | None = None) -> None:
        self.name, self.message, self.call = name, message, call
        self.next_step = remedy(name) if next_step is None else next_step
        advice = f". Next: {self.next_step}" if self.next_step else ""
        super().__init__(f"the chain refused {call}: {name}: {message.rstrip('.')}{advice}")


class OutcomeUnknown(ChainError):
    """A call was sent and the chain's answer was lost: it may have been, or may still be, carried out."""

    def __init__(self, call: str, reason: str) -> None:
        self.call, self.reason = call, reason
        super().__init__(
            f"what became of {call} is not known ({reason.rstrip('.')}); look whether it took effect before "
            "trying again"
        )


class UnknownNetwork(ChainError):
    """No network goes by this name."""


class BackEndMissing(ChainError):
    """The endpoint needs a back end that is not installed."""


class WrongChain(ChainError):
    """The chain is not the one expected: its genesis differs."""

    def __init__(self, where: str, expected: str, found: str) -> None:
        self.where, self.expected, self.found = where, expected, found
        super().__init__(
            f"{where} belongs to the chain with genesis {found[:18]}, expected {expected[:18]}; "
            "use the state and the endpoint of one chain, or start afresh with another state folder"
        )


class BadReply(ChainError):
    """The chain answered with something that cannot be read or that reports an error of its own."""


class BadGenesis(ChainError):
    """A genesis file cannot be read or contradicts itself."""


class StateUnusable(ChainError):
    """The stored state cannot be used: damaged, of a newer version, or in use by another process."""


class BadCheckpoint(ChainError):
    """A checkpoint cannot be read, does not hold what it says, or has no place where it is to go."""

    def __init__(self, where: Path, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"the checkpoint at {where} cannot be used: {reason}")


class ReplayDiffers(ChainError):
    """A chain that was made again came out as another one, from `block` on."""

    def __init__(self, block: int, reason: str) -> None:
        self.block, self.reason = block, reason
        super().__init__(
            f"block {block} differs when it is made again: {reason}. It was made by other rules, or its "
            "file was changed; restore a copy"
        )


class NotFound(ChainError):
    """The chain knows no such thing (a subnet, a call)."""


class WalletError(ChainError):
    """A wallet file is missing, unreadable, encrypted without a password, or not what it should be."""


class Overdrawn(ChainError):
    """The ledger was asked for more than there is: a fault of the chain's own rules, nothing was changed."""


class PortOccupied(ChainError):
    """The chain server cannot listen on an address."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host, self.port, self.reason = host, port, reason
        super().__init__(
            f"cannot listen on {host}:{port}: {reason}; choose another port or stop what uses it"
        )
