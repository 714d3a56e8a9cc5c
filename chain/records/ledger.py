"""Balances, owners and stakes as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier.chain.records.codec import Codec
from ranvier.chain.state import ChainState


def _balance(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.ledger.balances[path[0]] = value


def _owner(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.ledger.owners[path[0]] = value


def _stake(state: ChainState, path: Sequence[str], value: Any) -> None:
    hot, cold = path
    state.ledger.stakes.setdefault(hot, {})[cold] = value
    state.ledger.all_staked += value


def _moved(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.ledger.moved_at[path[0], path[1]] = value


def _take(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.ledger.takes[path[0]] = value


def _lock(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.ledger.locks[int(path[0])] = value


CODECS = (
    Codec(
        "lock", lambda s: map(str, s.ledger.locks), lambda s, path: s.ledger.locks.get(int(path[0])), _lock
    ),
    Codec("take", lambda s: s.ledger.takes, lambda s, path: s.ledger.takes[path[0]], _take),
    Codec("balance", lambda s: s.ledger.balances, lambda s, path: s.ledger.balances[path[0]], _balance),
    Codec("owner", lambda s: s.ledger.owners, lambda s, path: s.ledger.owners[path[0]], _owner),
    Codec(
        "stake",
        lambda s: (f"{hot}/{cold}" for hot, held in s.ledger.stakes.items() for cold in held),
        lambda s, path: s.ledger.stake_of(path[0], path[1]) or None,
        _stake,
    ),
    Codec(
        "moved",
        lambda s: (f"{hot}/{cold}" for hot, cold in s.ledger.moved_at),
        lambda s, path: s.ledger.moved_at.get((path[0], path[1])),
        _moved,
    ),
)
