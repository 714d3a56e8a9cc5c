"""Errors of the processes.

NeuronError
    ConfigError         a setting is unknown, missing or out of range
    NotRegistered       the hotkey has no uid on the subnet
    PortOccupied        somebody listens there already
    StateError          the stored state cannot be used
        CorruptState    it is damaged, or no state of ours
        StateInUse      another process holds it
            HotkeyInUse another process of this machine validates with the hotkey
        StateMismatch   it belongs to another chain or hotkey
    Doppelganger        somebody else sets weights with our hotkey
    BadWeights          a vector that must never reach a chain
    NotJournalled       weights may not be sent, because the journal says otherwise
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class NeuronError(Exception):
    """Base of everything that `ranvier.neurons` raises."""


class ConfigError(NeuronError):
    """A setting is unknown, missing or out of range; ``where`` names the file, variable or flag."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


def unknown_key(where: str, key: str, known: Iterable[str]) -> ConfigError:
    """The error for a key that nobody reads, with the nearest one that somebody does."""
    listed = sorted(known)
    near = difflib.get_close_matches(key, listed, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(listed)}."
    return ConfigError(where, f"unknown key {key!r}. {hint}")


class NotRegistered(NeuronError):
    """The hotkey has no uid on the subnet."""

    def __init__(self, hotkey: str, netuid: int, network: str) -> None:
        self.hotkey, self.netuid, self.network = hotkey, netuid, network
        super().__init__(
            f"hotkey {hotkey} is not registered on subnet {netuid} of {network}. "
            "Start once with --register (the coldkey pays), or name a registered hotkey with --hotkey."
        )


class PortOccupied(NeuronError):
    """Somebody listens there already."""

    def __init__(self, host: str, port: int, what: str) -> None:
        self.host, self.port = host, port
        super().__init__(
            f"{what} cannot listen on {host}:{port}: the port is occupied. "
            "Stop the process that has it, or choose another port (0 takes a free one)."
        )


class StateError(NeuronError):
    """The stored state cannot be used; ``path`` names the file."""

    def __init__(self, path: Path, problem: str, next_step: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"the state file {path} {problem}. {next_step}")


class CorruptState(StateError):
    """The file is damaged, or was written by something else."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            path,
            f"cannot be read ({cause})",
            "Restore it from a copy, or move it away to start with empty scores.",
        )


class StateInUse(StateError):
    """Another process holds the exclusive lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            "is in use by another process",
            "One hotkey may validate in one process only: stop the other one, or name another hotkey.",
        )


class StateMismatch(StateError):
    """The state belongs to another chain or hotkey."""


class BadWeights(NeuronError):
    """A weight vector that is empty, negative, not finite or sums to zero."""


class NotJournalled(NeuronError):
    """A weight vector differs from the one that the journal says may have been sent in this epoch."""


class HotkeyInUse(StateInUse):
    """Another process of this machine validates with the hotkey on the same chain."""

    def __init__(self, path: Path, hotkey: str) -> None:
        StateError.__init__(
            self,
            path,
            f"is held: {hotkey} validates in another process of this machine",
            "One hotkey may validate in one process only: stop the other one. One process may serve several subnets "
            "([[nodes]] in its configuration).",
        )


class Doppelganger(NeuronError):
    """Somebody else sets weights with our hotkey; ``update`` is the block of the newest."""

    def __init__(self, hotkey: str, netuid: int, update: int, when: str) -> None:
        self.hotkey, self.netuid, self.update = hotkey, netuid, update
        super().__init__(
            f"{hotkey} set weights on subnet {netuid} at block {update}, {when}: another validator runs with this "
            "hotkey. Stop it, or this one. If it was you with another tool, or a machine that is gone for good, start "
            "once with --takeover."
        )
