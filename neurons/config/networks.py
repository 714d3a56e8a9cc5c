"""Networks by name: where the chain of each is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from ranvier.chain import UnknownNetwork
from ranvier.chain.connect import is_subtensor

PROFILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "local": "http://127.0.0.1:9944",
        "test": "test",
        "finney": "finney",
        "archive": "archive",
        "devnet": "devnet",
    }
)
"""Built-in profiles. All but ``local`` are addresses that the official SDK knows by name."""


@dataclass(frozen=True, slots=True)
class Network:
    """A chain to work on. ``name`` is the profile, or the endpoint itself where none was named."""

    name: str
    endpoint: str

    @property
    def on_this_machine(self) -> bool:
        """Whether the chain is one of ours on loopback or a private address: then its neurons may be there, too.

        Never so for a Subtensor node, wherever it is: a node of one's own on ws://127.0.0.1 mostly serves a public
        network, whose neurons must not name addresses inside this one. Settings can say that it is private.
        """
        if is_subtensor(self.endpoint):
            return False
        host = urlsplit(self.endpoint).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_global
        except ValueError:
            return host == "localhost"


def resolve(network: str, own: Mapping[str, str] = MappingProxyType({})) -> Network:
    """The network of a profile name or address; ``own`` adds profiles from the configuration.

    Raises `UnknownNetwork` for a name that nobody defined.
    """
    endpoint = {**PROFILES, **own}.get(network, network)
    if not is_subtensor(endpoint) and not endpoint.startswith(("http://", "https://")):
        known = ", ".join(sorted({**PROFILES, **own}))
        raise UnknownNetwork(
            f"no network is named {network!r}; known: {known}. Name one of them, or an address such as "
            "http://127.0.0.1:9944 or wss://HOST:PORT."
        )
    return Network(network, endpoint)
