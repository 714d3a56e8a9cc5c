"""From the name of an endpoint to a client of the right back end."""

from __future__ import annotations

from urllib.parse import urlsplit

from ranvier.chain.client import ChainClient
from ranvier.chain.errors import BackEndMissing, UnknownNetwork

LOCAL_ENDPOINT = "http://127.0.0.1:9944"
_PUBLIC = frozenset({"finney", "test", "archive", "devnet"})


def connect(endpoint: str = "local") -> ChainClient:
    """A client for `endpoint`: "local", or the http:// or https:// address of a chain server.

    Nothing is sent yet. Raises `BackEndMissing` for networks that need the official SDK's back end and
    `UnknownNetwork` for anything else.
    """
    if endpoint == "local":
        endpoint = LOCAL_ENDPOINT
    scheme = urlsplit(endpoint).scheme
    if scheme in {"http", "https"} and urlsplit(endpoint).hostname:
        from ranvier.chain.local import LocalChain

        return LocalChain(endpoint.rstrip("/"))
    if endpoint in _PUBLIC or scheme in {"ws", "wss"}:
        raise BackEndMissing(
            f"{endpoint} is a Subtensor chain, and this version speaks only to chains of its own; "
            "start one with `ranvier chain` or `ranvier localnet` and name its http:// address"
        )
    raise UnknownNetwork(f"no network {endpoint!r}; use local or an address such as {LOCAL_ENDPOINT}")
