"""One connection to a Subtensor chain: opened when needed, given up when it fails, every use under a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ranvier.chain.errors import (
    BackEndMissing,
    BadReply,
    ChainError,
    ChainTimeout,
    ChainUnreachable,
    WrongChain,
)

T = TypeVar("T")
Opener = Callable[[], Any]
"""Makes a fresh, unconnected ``bittensor.Substrate``."""
LONGEST_PAUSE: Final = 12.0
OPENING_SECONDS: Final = 30.0
"""For one attempt to connect: a runtime's metadata is a megabyte."""
CLOSING_SECONDS: Final = 12.0
"""The SDK's websocket waits 10 s for a dead peer's farewell before it frees the socket."""
_log = logging.getLogger(__name__)


def load_sdk() -> Any:
    """The module ``bittensor``; raises `BackEndMissing` where it is not installed, or too old or new to use."""
    try:
        import bittensor
    except ImportError as error:
        raise BackEndMissing(
            f"the official SDK is not installed ({error}); install it with `pip install 'ranvier[subtensor]'`"
        ) from error
    if not hasattr(bittensor, "RpcSubstrate") or not hasattr(bittensor, "Client"):
        raise BackEndMissing(
            "the installed bittensor is not of the line 11; `pip install 'ranvier[subtensor]'`"
        )
    return bittensor


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One open connection; `lost` is done from the moment it is given up."""

    client: Any
    lost: asyncio.Future[None]


class Connection:
    """Hands out the SDK's client. Only `ChainError`s come out: the SDK's own are translated here.

    The SDK asks a dead connection politely to end what is under way and waits for the answer, for minutes. So work is
    never awaited beyond its deadline or its connection: it is cancelled, and its end is left to the background.
    """

    def __init__(self, endpoint: str, opener: Opener | None = None) -> None:
        """`opener` stands in for the SDK's own RPC connection."""
        self._sdk = load_sdk()
        self.endpoint = endpoint
        self._opener = opener
        self._link: Link | None = None
        self._opening: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Future[Any]] = set()
        self._failures, self._not_before, self._reason = 0, 0.0, "no answer"
        self.closed = False
        self.longest_pause = LONGEST_PAUSE
        """Seconds between two attempts to connect, at most."""
        self.genesis: str | None = None
        """Of the chain that the first connection found; another one is refused."""
        self.opened = 0
        """How often a connection was opened."""

    async def use(self, what: str, work: Callable[[Any], Awaitable[T]], deadline: float) -> T:
        """What `work` makes of the connected client.

        Raises `ChainTimeout` after `deadline` seconds, `ChainUnreachable` where there is no connection or it failed
        (the next use opens another one), `WrongChain`, and `BadReply` where the chain or the SDK reported an error.
        """
        link: Link | None = None
        try:
            async with asyncio.timeout(deadline):
                link = await self._linked()
                return await self._work(link, work)
        except TimeoutError as error:
            if link is None:
                raise ChainUnreachable(
                    self.endpoint, f"{self._reason}; not connected within {deadline:g} s"
                ) from error
            self.drop(link)
            raise ChainTimeout(f"{what} at {self.endpoint}", deadline) from error
        except (self._sdk.RpcConnectionError, self._sdk.ConnectionNotReady, OSError) as error:
            self.drop(link)
            raise ChainUnreachable(self.endpoint, str(error) or type(error).__name__) from error
        except ChainError:
            raise
        except Exception as error:
            # A node may answer anything, and the SDK reports that, as well as unknown storage, calls and types, as
            # whatever its decoders stumble over; callers are promised `ChainError`s only. The cause stays attached.
            raise BadReply(f"{what} at {self.endpoint}: {error or type(error).__name__}") from error

    def drop(self, link: Link | None = None) -> None:
        """Give up a connection (default: the present one); whoever waits on it gets `ChainUnreachable` at once."""
        link = link or self._link
        if link is None or link.lost.done():
            return
        link.lost.set_result(None)
        if link is self._link:
            self._link = None
        self._end(asyncio.ensure_future(_close(link.client)))

    async def close(self) -> None:
        """Close everything; later uses raise `ChainUnreachable`."""
        self.closed = True
        if self._opening is not None:
            self._opening.cancel()
            self._end(self._opening)
        self.drop()
        while self._ending:
            await asyncio.wait(set(self._ending))

    async def _work(self, link: Link, work: Callable[[Any], Awaitable[T]]) -> T:
        task = asyncio.ensure_future(work(link.client))
        waited: set[asyncio.Future[Any]] = {task, link.lost}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                self._end(task)
        if link.lost.done() and (not task.done() or task.cancelled() or task.exception()):
            self._end(task)
            raise ConnectionError("the connection was given up")
        return task.result()

    async def _linked(self) -> Link:
        while self._link is None:
            if self.closed:
                raise ConnectionError("this client is closed")
            # One attempt for all who wait; a short deadline of one of them does not end it.
            opening = self._opening = self._opening or asyncio.ensure_future(self._open())
            try:
                await asyncio.shield(opening)
            except asyncio.CancelledError:
                if opening.cancelled():
                    raise ConnectionError("this client is closed") from None
                self._end(opening)
                raise
        return self._link

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(max(self._not_before - loop.time(), 0.0))
            self._link = Link(await self._connected(), loop.create_future())
        except (Exception, TimeoutError) as error:
            # Whatever it was: the next attempt waits longer, and whoever waits now is told.
            self._reason = str(error) or type(error).__name__
            self._not_before = loop.time() + min(pause_after(self._failures), self.longest_pause)
            self._failures += 1
            if isinstance(error, TimeoutError):
                raise ConnectionError(f"no connection within {OPENING_SECONDS:g} s") from error
            raise
        else:
            self._failures = 0
            self.opened += 1
        finally:
            self._opening = None

    async def _connected(self) -> Any:
        substrate = self._opener() if self._opener else None
        client = self._sdk.Client(self.endpoint, substrate=substrate)
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                await client.connect()
                found = str(await client._substrate.block_hash(0))  # noqa: SLF001 - the SDK's seam has no name
            if self.genesis not in (None, found):
                raise WrongChain(self.endpoint, self.genesis, found)
        except BaseException:
            self._end(asyncio.ensure_future(_close(client)))
            raise
        self.genesis = found
        return client

    def _end(self, task: asyncio.Future[Any]) -> None:
        """Let a task end by itself; what becomes of it does not matter any more."""
        if task not in self._ending:
            self._ending.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()


async def _close(client: Any) -> None:
    with contextlib.suppress(Exception, TimeoutError):  # a broken connection may fail to close in any way
        async with asyncio.timeout(CLOSING_SECONDS):
            await client.close()


def pause_after(failures: int) -> float:
    """Seconds to wait before another attempt, doubling from half a second."""
    return float(min(LONGEST_PAUSE, 0.5 * 2.0 ** min(failures, 10)))
