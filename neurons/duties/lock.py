"""One process for each (network, hotkey) on a machine, wherever its state lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from ranvier.neurons.config.models import home
from ranvier.neurons.errors import HotkeyInUse, StateInUse
from ranvier.neurons.state.database import hold


@contextmanager
def hotkey_lock(genesis: str, hotkey: str) -> Iterator[None]:
    """Hold a validator's hotkey on the chain with that genesis; raises `HotkeyInUse`.

    The lock lies in ``locks`` under ``$RANVIER_HOME`` or ``~/.ranvier`` and ends with the process. A process that
    validates several subnets with one hotkey takes it once.
    """
    name = hashlib.sha256(f"{genesis} {hotkey}".encode()).hexdigest()[:32]
    path = home() / "locks" / name
    try:
        with hold(path):
            yield
    except StateInUse as error:
        if error.path != path:
            raise
        raise HotkeyInUse(path, hotkey) from error
