"""Networks by name: where the chain of each is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from ranvier.chain import BackEndMissing, UnknownNetwork

PROFILES: Final[Mapping[str, str]] = MappingProxyType(
    {"local": "http://127.0.0.1:9944", "test": "test", "finney": "finney"}
)
"""Built-in profiles. ``test`` and ``finney`` are known by name and wait for the Subtensor back end."""
_WAITING: Final = ("test", "finney")


@dataclass(frozen=True, slots=True)
class Network:
    """A chain to work on. ``name`` is the profile, or the endpoint itself where none was named."""

    name: str
    endpoint: str

    @property
    def on_this_machine(self) -> bool:
        """Whether the chain is reached over loopback or a private address: then its neurons may be, too."""
        host = urlsplit(self.endpoint).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_global
        except ValueError:
            return host == "localhost"


def resolve(network: str, own: Mapping[str, str] = MappingProxyType({})) -> Network:
    """The network of a profile name or address; ``own`` adds profiles from the configuration.

    Raises `BackEndMissing` for the public networks and `UnknownNetwork` for a name that nobody defined.
    """
    endpoint = {**PROFILES, **own}.get(network, network)
    if endpoint in _WAITING or endpoint.startswith(("ws://", "wss://")):
        raise BackEndMissing(
            f"network {network!r} is a Subtensor chain; its back end comes with a later release. "
            "Until then use a local one: `ranvier localnet`, or `ranvier chain` and --network local."
        )
    if not endpoint.startswith(("http://", "https://")):
        known = ", ".join(sorted({**PROFILES, **own}))
        raise UnknownNetwork(
            f"no network is named {network!r}; known: {known}. Name one of them, or an address such as "
            "http://127.0.0.1:9944."
        )
    return Network(network, endpoint)
