"""How one kind of record is named, written and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ranvier.chain.state import ChainState


@dataclass(frozen=True)
class Codec:
    """Records are named KIND/REST, where REST is a path of its own and may be empty; their values are JSON.

    ``names`` gives every REST of a state, ``value`` what is written of one (None: it is no more), ``restore`` takes
    one back, in natural order of the names (subnet/2/slot/2 before subnet/2/slot/10).
    """

    kind: str
    names: Callable[[ChainState], Iterable[str]]
    value: Callable[[ChainState, Sequence[str]], Any]
    restore: Callable[[ChainState, Sequence[str], Any], None]
    check: Callable[[ChainState, Mapping[str, str]], None] = lambda _state, _records: None
    """Raises ValueError where the restored state lacks what the records speak of."""
