"""How requests leave a dendrite: guarded by a deadline, sealed where that is wanted, signed, over kept connections."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel

from ranvier.protocol.addresses import AddressPolicy
from ranvier.protocol.caller import Target
from ranvier.protocol.codes import Code
from ranvier.protocol.connection import write_head
from ranvier.protocol.deadline import Deadline
from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.keys import Keypair
from ranvier.protocol.limits import Limits
from ranvier.protocol.message import Message, Sender, address_of
from ranvier.protocol.nonces import NonceClock
from ranvier.protocol.outcome import Invalid, Refused, TimedOut, Unreachable
from ranvier.protocol.pool import Pool, Sending
from ranvier.protocol.prekeys import MAX_DOCUMENT, PREKEY_ROUTE, Prekey, PrekeyCache
from ranvier.protocol.query import Query
from ranvier.protocol.response import Response
from ranvier.protocol.room import Room
from ranvier.protocol.synapse import Synapse

T = TypeVar("T")
P = ParamSpec("P")
Failure = Invalid | TimedOut | Unreachable


class Outbound:
    """The sender's side of the wire, below the kinds of calls. ``now`` is nanoseconds since 1970."""

    def __init__(
        self,
        key: Keypair,
        limits: Limits,
        addresses: AddressPolicy,
        now: Callable[[], int],
        *,
        seal: bool,
        compress: bool,
    ) -> None:
        self.key, self.limits, self.addresses = key, limits, addresses
        self.nonces = NonceClock(now)
        self.room = Room(limits.max_unverified)
        self.sent = 0
        """Bytes of request bodies, as they travelled."""
        self._now = now
        self._sender = Sender(key, compress)
        self._prekeys = PrekeyCache(now=now) if seal else None
        self._pool: Pool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def seals(self) -> bool:
        """Whether every body is sealed."""
        return self._prekeys is not None

    @property
    def connections(self) -> tuple[int, int]:
        """How many were opened, and how many requests found one open."""
        return (self._pool.opened, self._pool.reused) if self._pool is not None else (0, 0)

    def open(self) -> None:
        """Inside the loop that will be used; touches no network."""
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(self.addresses)

    async def close(self) -> None:
        """Drop all connections."""
        if self._pool is not None:
            self._pool.close()
            await asyncio.sleep(0)  # the sockets close in the loop's next step
        self._pool = self._loop = None

    async def guarded(
        self,
        target: Target,
        deadline: float,
        work: Callable[P, Coroutine[Any, Any, T]],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> T | Failure:
        """Whatever goes wrong with the peer is an outcome, never an exception."""
        if self._loop is None:
            raise RuntimeError("open the dendrite first: `async with Dendrite(key) as dendrite:`")
        started = self._loop.time()
        try:
            with Deadline(self._loop, started + deadline):
                return await work(*arguments, **options)
        except TimeoutError:
            return TimedOut(target, self.clock() - started)
        except InvalidReply as error:
            return Invalid(target, self.clock() - started, str(error))
        except asyncio.IncompleteReadError:
            return Invalid(
                target, self.clock() - started, "the connection broke: it ended before the reply did"
            )
        except OSError as error:
            return Unreachable(target, self.clock() - started, (error.strerror or str(error))[:200])

    async def resealing(self, target: Target, once: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Once more with a fresh prekey, where the miner proves that it erased the one that was used."""
        outcome = await once()
        if self._prekeys is None or not isinstance(outcome, Refused):
            return outcome
        if outcome.code != Code.UNKNOWN_PREKEY or not outcome.proven:
            return outcome
        self._prekeys.forget(target.hotkey)
        return await once()

    async def message(self, target: Target, route: str, request: BaseModel, query: Query) -> Message:
        """The request signed; raises OSError for an address that must not be called."""
        self.check_address(target)
        prekey = None if self._prekeys is None else await self._prekey(target, self._prekeys)
        return self._sender.write(target, route, request, query, self.nonces.next(), prekey)

    async def _prekey(self, target: Target, cache: PrekeyCache) -> Prekey:
        """The miner's prekey, from memory or from the miner. Raises `InvalidReply` for one that cannot be believed."""
        held = cache.get(target.hotkey)
        if held is not None:
            return held
        head = write_head("GET", address_of(target), PREKEY_ROUTE, {}, 0)
        async with self._opened().send(target.host, target.port, head, b"") as incoming:
            found = await incoming.read(MAX_DOCUMENT, self.room)
        if incoming.status != 200:
            raise InvalidReply("the miner has no prekey: it cannot be asked under a seal")
        prekey = Prekey.read(found, target.hotkey, self._now())
        cache.put(prekey)
        return prekey

    def clock(self) -> float:
        """Seconds by the loop's clock: the one that deadlines go by, also where a test simulates time."""
        return (self._loop or asyncio.get_running_loop()).time()

    def check_address(self, target: Target) -> None:
        """Raise OSError for an address that must not, or a port that cannot, be called."""
        refusal = self.addresses.refusal(target.host)
        if not 0 < target.port < 1 << 16:
            refusal = f"{target.port} is no port that can be called"
        if refusal is not None:
            raise OSError(errno.EADDRNOTAVAIL, refusal)

    def limit(self, synapse: type[Synapse]) -> int:
        """Bytes of a reply that are read."""
        return min(synapse.max_reply, self.limits.max_reply)

    async def response(self, message: Message, limit: int) -> Response:
        """Send, and read what comes back, whole. Raises `InvalidReply` and OSError."""
        async with self.post(message) as response:
            return await Response.read(response, limit, self.room)

    def post(self, message: Message) -> Sending:
        """``async with`` it: the message goes out, the response's head is there."""
        target = message.target
        self.sent += len(message.body)
        return self._opened().send(target.host, target.port, message.head, message.body)

    def _opened(self) -> Pool:
        if self._pool is None:
            raise RuntimeError("the dendrite is closed")
        return self._pool
