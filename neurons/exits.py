"""Exit codes, and the one place where errors of every package become a message and a code.

Errors are matched by the names of their classes, so that explaining one imports nothing more than raising it did;
a test holds the names against the packages.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """Stable: scripts and supervisors may rely on them. docs/exit-codes.md says what to do for each."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIG = 3
    CHAIN_UNREACHABLE = 4
    CHAIN_REFUSED = 5
    NOT_REGISTERED = 6
    PORT_OCCUPIED = 7
    MISSING_EXTRA = 8
    MODEL_MISSING = 9
    CORRUPT_STATE = 10
    STATE_IN_USE = 11
    UNKNOWN_SUBNET = 12
    ENGINE_UNREACHABLE = 13
    ENGINE_UNFIT = 14
    WALLET = 15
    UNKNOWN_NETWORK = 16
    NOT_PROVEN = 17
    """A localnet ran to its end, and honest work did not pay best in every subnet."""
    LOCALNET = 18
    DOPPELGANGER = 19
    INTERRUPTED = 130


CODES: Final[Mapping[str, ExitCode]] = {
    "ConfigError": ExitCode.CONFIG,
    "NotRegistered": ExitCode.NOT_REGISTERED,
    "PortOccupied": ExitCode.PORT_OCCUPIED,
    "StateInUse": ExitCode.STATE_IN_USE,
    "StateError": ExitCode.CORRUPT_STATE,
    "Doppelganger": ExitCode.DOPPELGANGER,
    "NeuronError": ExitCode.UNEXPECTED,
    "ChainUnreachable": ExitCode.CHAIN_UNREACHABLE,
    "ChainTimeout": ExitCode.CHAIN_UNREACHABLE,
    "OutcomeUnknown": ExitCode.CHAIN_UNREACHABLE,
    "UnknownNetwork": ExitCode.UNKNOWN_NETWORK,
    "BackEndMissing": ExitCode.UNKNOWN_NETWORK,
    "BadGenesis": ExitCode.CONFIG,
    "StateUnusable": ExitCode.CORRUPT_STATE,
    "BadCheckpoint": ExitCode.CORRUPT_STATE,
    "ReplayDiffers": ExitCode.CORRUPT_STATE,
    "WrongChain": ExitCode.CORRUPT_STATE,
    "WalletError": ExitCode.WALLET,
    "ChainError": ExitCode.CHAIN_REFUSED,
    "UnknownSubnet": ExitCode.UNKNOWN_SUBNET,
    "BrokenPlugin": ExitCode.UNKNOWN_SUBNET,
    "BadName": ExitCode.USAGE,
    "FolderTaken": ExitCode.USAGE,
    "SubnetError": ExitCode.UNEXPECTED,
    "MissingExtra": ExitCode.MISSING_EXTRA,
    "ModelNotFound": ExitCode.MODEL_MISSING,
    "EngineUnfit": ExitCode.ENGINE_UNFIT,
    "EngineUnreachable": ExitCode.ENGINE_UNREACHABLE,
    "EngineTimeout": ExitCode.ENGINE_UNREACHABLE,
    "EngineError": ExitCode.UNEXPECTED,
    "ReplayStateUnusable": ExitCode.CORRUPT_STATE,
    "ProtocolError": ExitCode.UNEXPECTED,
    "LocalnetError": ExitCode.LOCALNET,
}
"""By class name; the nearest base of an error decides."""


def explain(error: BaseException) -> tuple[ExitCode, str]:
    """The exit code and the one message for ``error``."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "interrupted"
    if isinstance(error, BaseExceptionGroup):
        return explain(error.exceptions[0])
    said = getattr(error, "kind", "")  # a worker process says of what kind its error was
    if isinstance(said, str) and said in CODES:
        return CODES[said], str(error)
    for kind in type(error).__mro__:
        if kind.__module__.startswith("ranvier.") and kind.__name__ in CODES:
            return CODES[kind.__name__], str(error)
    return _explain_foreign(error)


def _explain_foreign(error: BaseException) -> tuple[ExitCode, str]:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ExitCode.PORT_OCCUPIED, f"{error.strerror or error}; choose another port (0 takes a free one)"
    if isinstance(error, ModuleNotFoundError):
        return (
            ExitCode.MISSING_EXTRA,
            f"the package {error.name!r} is not installed; install the extra with `pip install 'ranvier[models]'`",
        )
    if isinstance(error, OSError):
        return ExitCode.UNEXPECTED, f"{error}; check that the path exists and that you may use it"
    text = f"unexpected {type(error).__name__}: {error}; run again with RANVIER_DEBUG=1 to see where"
    return ExitCode.UNEXPECTED, text
