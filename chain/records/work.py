"""Blocks that work may be done on, and work that was spent, as records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from ranvier.chain.models import Block
from ranvier.chain.records.codec import Codec
from ranvier.chain.state import ChainState

RECENT: Final = "recent/"


def _recent(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.recent = tuple(Block(**block) for block in value)


def _spent(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.spent[path[0]] = value


CODECS = (
    Codec("recent", lambda _: ("",), lambda s, _: [asdict(block) for block in s.recent], _recent),
    Codec("work", lambda s: s.spent, lambda s, path: s.spent.get(path[0]), _spent),
)
