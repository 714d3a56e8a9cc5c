"""Settings of the whole chain, and what is limited in pace, as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier.chain.network import NetworkParameters, NetworkState
from ranvier.chain.records.codec import Codec
from ranvier.chain.state import ChainState


def _value(state: ChainState, path: Sequence[str]) -> Any:
    network = state.network
    return {
        "parameters": network.parameters.model_dump(mode="json"),
        "last_lock": network.last_lock,
        "founded_at": network.founded_at,
        "given_away": network.given_away,
    }


def _restore(state: ChainState, path: Sequence[str], value: Any) -> None:
    parameters = NetworkParameters.model_validate(value.pop("parameters"))
    state.network = NetworkState(parameters, **value, paces=state.network.paces)


def _pace(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.network.paces[path[0], path[1]] = value


CODECS = (
    Codec("network", lambda _: ("",), _value, _restore),
    Codec(
        "pace",
        lambda s: (f"{kind}/{key}" for kind, key in s.network.paces),
        lambda s, path: s.network.paces.get((path[0], path[1])),
        _pace,
    ),
)
