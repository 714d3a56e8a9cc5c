"""One connection to a Subtensor chain: opened when needed, given up when it fails, every use under a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from ranvier.chain.errors import BackEndMissing, BadReply, ChainTimeout, ChainUnreachable

T = TypeVar("T")
Opener = Callable[[], Any]
"""Makes a fresh, unconnected ``bittensor.Substrate``."""
LONGEST_PAUSE: Final = 12.0
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


class Connection:
    """Hands out the SDK's client. Only `ChainError`s come out: the SDK's own are translated here."""

    def __init__(self, endpoint: str, opener: Opener | None = None) -> None:
        """`opener` stands in for the SDK's own RPC connection."""
        self._sdk = load_sdk()
        self.endpoint = endpoint
        self._opener = opener
        self._client: Any = None
        self._closed = False
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self.opened = 0
        """How often a connection was opened."""

    async def use(self, what: str, work: Callable[[Any], Awaitable[T]], deadline: float) -> T:
        """What `work` makes of the connected client.

        Raises `ChainTimeout` after `deadline` seconds, `ChainUnreachable` where the connection failed (the next use
        opens another one) and `BadReply` where the chain or the SDK reported an error.
        """
        try:
            async with asyncio.timeout(deadline):
                client = await self._connected()
                return await work(client)
        except TimeoutError as error:
            self.drop()
            raise ChainTimeout(f"{what} at {self.endpoint}", deadline) from error
        except (self._sdk.RpcConnectionError, self._sdk.ConnectionNotReady, OSError) as error:
            self.drop()
            raise ChainUnreachable(self.endpoint, str(error) or type(error).__name__) from error
        except (self._sdk.BittensorError, ValueError, KeyError, TypeError) as error:
            # The SDK reports unknown storage, calls and types as any of these.
            raise BadReply(f"{what} at {self.endpoint}: {error}") from error

    def drop(self) -> None:
        """Give up the present connection; whoever waits on it is told so by the SDK."""
        client, self._client = self._client, None
        if client is not None:
            task = asyncio.ensure_future(_close(client))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close everything; later uses raise `ChainUnreachable`."""
        self._closed = True
        self.drop()
        await asyncio.gather(*self._closing)

    async def _connected(self) -> Any:
        async with self._opening:
            if self._closed:
                raise ConnectionError("this client is closed")
            if self._client is None:
                substrate = self._opener() if self._opener else None
                client = self._sdk.Client(self.endpoint, substrate=substrate)
                try:
                    await client.connect()
                except BaseException:
                    await _close(client)
                    raise
                self._client = client
                self.opened += 1
            return self._client


async def _close(client: Any) -> None:
    with contextlib.suppress(Exception, TimeoutError):  # a broken connection may fail to close in any way
        async with asyncio.timeout(2.0):
            await client.close()


def pause_after(failures: int) -> float:
    """Seconds to wait before another connection, doubling from half a second."""
    return float(min(LONGEST_PAUSE, 0.5 * 2.0 ** min(failures, 10)))
