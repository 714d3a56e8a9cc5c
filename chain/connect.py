"""From the name of an endpoint to a client of the right back end."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from ranvier.chain.client import ChainClient
from ranvier.chain.errors import UnknownNetwork

LOCAL_ENDPOINT: Final = "http://127.0.0.1:9944"
SUBTENSOR_NETWORKS: Final = frozenset({"finney", "test", "archive", "devnet"})
"""Networks whose addresses the official SDK knows."""


def connect(endpoint: str = "local") -> ChainClient:
    """A client for `endpoint`; nothing is sent yet.

    "local", http:// and https:// addresses are chain servers of ours; the SDK's networks and ws:// or wss:// addresses
    are Subtensor chains. Raises `BackEndMissing` where those need an SDK that is not installed, and `UnknownNetwork`
    for anything else.
    """
    if endpoint == "local":
        endpoint = LOCAL_ENDPOINT
    if is_subtensor(endpoint):
        from ranvier.chain.subtensor import SubtensorChain

        return SubtensorChain(endpoint)
    parts = urlsplit(endpoint)
    if parts.scheme in {"http", "https"} and parts.hostname:
        from ranvier.chain.local import LocalChain

        return LocalChain(endpoint.rstrip("/"))
    known = ", ".join(["local", *sorted(SUBTENSOR_NETWORKS)])
    raise UnknownNetwork(
        f"no network {endpoint!r}; use one of {known}, or an address such as {LOCAL_ENDPOINT} or "
        "wss://HOST:PORT"
    )


def is_subtensor(endpoint: str) -> bool:
    """Whether an endpoint is a Subtensor chain."""
    parts = urlsplit(endpoint)
    return endpoint in SUBTENSOR_NETWORKS or (parts.scheme in {"ws", "wss"} and bool(parts.hostname))
