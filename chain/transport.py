"""Requests to a chain server: a deadline on each, reconnecting, one chain only, typed errors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
from pydantic import TypeAdapter, ValidationError

from ranvier.chain.api import GENESIS_HEADER, Failure
from ranvier.chain.errors import (
    BadReply,
    CallRefused,
    ChainTimeout,
    ChainUnreachable,
    NotFound,
    StateUnusable,
    WrongChain,
)

T = TypeVar("T")
_MOST_BYTES = 64 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_DOUBT = 3.0
_MOST_SHOWN = 160


@dataclass
class _Request:
    """What is asked, and why the newest try to connect for it failed."""

    path: str
    query: Mapping[str, str] | None
    body: bytes | None
    again: bool
    most: int
    trouble: str = ""


@dataclass
class Transport:
    """Talks to one endpoint. The first contact fails at once where nobody listens; after it, a lost
    connection is made again until the request's deadline has passed. A request that gets no word for
    3 s is sent once more beside the first: a connection may be dead without a sign.
    """

    endpoint: str
    genesis: str | None = None
    closed: bool = False
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def ask(
        self,
        kind: TypeAdapter[T],
        path: str,
        *,
        deadline: float,
        held: float = 0.0,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        again: bool = True,
        most: int = _MOST_BYTES,
    ) -> T:
        """GET, or POST where there is a body, and read the reply as `kind`.

        `held` are the seconds of the deadline for which the server may hold its reply back; `again=False` sends only
        once; `most` is how many bytes are read. Raises `ChainUnreachable`, `ChainTimeout`, `WrongChain`, `BadReply`,
        and what the server reports: `CallRefused`, `NotFound`, `StateUnusable`.
        """
        if self.closed:
            raise ChainUnreachable(self.endpoint, "this client is closed")
        request = _Request(path, query, body, again, most)
        try:
            async with asyncio.timeout(deadline):
                if not again:
                    return _read(kind, await self._insist(request), self.endpoint)
                return _read(kind, await self._doubt(request, held), self.endpoint)
        except TimeoutError as error:
            if request.trouble:
                raise ChainUnreachable(self.endpoint, request.trouble) from error
            raise ChainTimeout(f"{path} at {self.endpoint}", deadline) from error

    async def close(self) -> None:
        """Close the connections; later requests raise `ChainUnreachable`."""
        self.closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _doubt(self, request: _Request, held: float) -> bytes:
        """The first reply of several sendings; the pauses between them double."""
        pause, sent = _DOUBT, set[asyncio.Task[bytes]]()
        try:
            while True:
                sent.add(asyncio.ensure_future(self._insist(request)))
                done, _ = await asyncio.wait(sent, timeout=held + pause, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    return done.pop().result()
                pause *= 2
        finally:
            for task in sent:
                task.cancel()
            await asyncio.gather(*sent, return_exceptions=True)

    async def _insist(self, request: _Request) -> bytes:
        """Connect until it succeeds, if there was a connection before."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._send(request)
            except (aiohttp.ClientError, OSError) as error:
                request.trouble = _shown(error)
                if self.genesis is None or not request.again:
                    raise ChainUnreachable(self.endpoint, request.trouble) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _send(self, request: _Request) -> bytes:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        method = "GET" if request.body is None else "POST"
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        async with self._session.request(
            *(method, self.endpoint + request.path),
            params=request.query,
            data=request.body,
            headers=headers,
            allow_redirects=False,
        ) as response:
            data = await _bounded(response, request.most)
            self._recognise(response)
            if response.status >= 300:
                _report(data, response.status, self.endpoint)
            return data

    def _recognise(self, response: aiohttp.ClientResponse) -> None:
        found = response.headers.get(GENESIS_HEADER)
        if found is None:
            raise BadReply(f"{self.endpoint} answers, but is no chain server; check host and port")
        if self.genesis is None:
            self.genesis = found
        if found != self.genesis:
            raise WrongChain(self.endpoint, self.genesis, found)


def _shown(error: Exception) -> str:
    """One short line: the text may hold whatever the other side sent."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    data = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        data += piece
        if len(data) > most:
            raise BadReply(f"{response.url} sent more than {most} bytes; ask for less history")
    return bytes(data)


def _read(kind: TypeAdapter[T], data: bytes, endpoint: str) -> T:
    try:
        return kind.validate_json(data)
    except ValidationError as error:
        raise BadReply(
            f"{endpoint} sent what this version cannot read ({error.error_count()} faults); use equal versions"
        ) from error


def _report(data: bytes, status: int, endpoint: str) -> Any:
    failure = _read(TypeAdapter(Failure), data, endpoint)
    if status == 409:
        raise CallRefused(failure.name, failure.message, "call")
    if status == 404:
        raise NotFound(failure.message)
    if status == 503:
        raise StateUnusable(f"the chain at {endpoint} has stopped: {failure.message}")
    raise BadReply(f"{endpoint} refused the request ({status} {failure.name}): {failure.message}")
