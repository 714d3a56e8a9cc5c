"""The root network as one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ranvier.chain.records.codec import Codec
from ranvier.chain.root import RootState, Seat
from ranvier.chain.state import ChainState


def _value(state: ChainState, path: Sequence[str]) -> Any:
    seats = [{**asdict(seat), "weights": sorted(seat.weights.items())} for seat in state.root.seats]
    return {"seats": seats, "shares": sorted(state.root.shares.items())}


def _restore(state: ChainState, path: Sequence[str], value: Any) -> None:
    seats = [Seat(**{**one, "weights": {int(k): v for k, v in one["weights"]}}) for one in value["seats"]]
    state.root = RootState(seats, {int(netuid): share for netuid, share in value["shares"]})


CODECS = (Codec("root", lambda _: ("",), _value, _restore),)
