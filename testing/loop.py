"""An event loop in simulated time: seconds pass where everybody waits, and nowhere else."""

from __future__ import annotations

import asyncio
import errno
import selectors
import socket
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from ranvier.testing.meter import METER, Metered
from ranvier.testing.wire import Address, End, Listener

T = TypeVar("T")
GRACE: Final = 0.005
"""Real seconds that real sockets get to deliver before simulated time passes."""
GLANCE: Final = 0.05
"""Real seconds between two looks while somebody outside works for us."""
FIRST_PORT: Final = 20_000


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but what is outside: where the loop would sleep until a timer, the clock is put forward."""

    def __init__(self, grace: float) -> None:
        super().__init__()
        self.now, self.outside, self._grace = 0.0, 0, grace

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; where nothing is, ``timeout`` seconds have passed by the loop's clock."""
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        ready = super().select(self._grace)
        if ready:
            return ready
        if timeout is None or self.outside:
            return super().select(GLANCE if self.outside else None)
        self.now += timeout
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Deterministic: one thread, a clock that starts at 0 and moves only while everybody waits, no real sockets.

    - ``asyncio.sleep`` and time-outs cost no real time, and work costs no simulated time.
    - ``asyncio.to_thread`` and executors run at once, on the loop's thread.
    - Servers and connections to them stay within the loop; with ``sockets`` they are real ones of the loopback
      interface, and repeatability ends.
    - Time stands still within `outside`: for work that other processes do for us.
    """

    def __init__(self, *, sockets: bool = False) -> None:
        self._clock = _Selector(GRACE if sockets else 0.0)
        super().__init__(self._clock)
        self._sockets = sockets
        self._listeners: dict[Address, Listener] = {}
        self._given: set[Address] = set()
        self._connecting: WeakKeyDictionary[socket.socket, Address] = WeakKeyDictionary()
        self._connections = 0
        self.set_task_factory(_metering)

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return self._clock.now

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Let no simulated time pass while another process works for us."""
        self._clock.outside += 1
        try:
            yield
        finally:
            self._clock.outside -= 1

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run it now: there is one thread."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  whatever the job raises belongs to whoever awaits it
            future.set_exception(error)
        return future

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> asyncio.AbstractServer:
        """Listen on the wire within the loop, or with ``sockets`` as any loop does."""
        if self._sockets or port is None or options.get("ssl") is not None:
            return await super().create_server(protocol_factory, host, port, **options)
        address = (host or "127.0.0.1", port or FIRST_PORT + len(self._given))
        if address in self._listeners:
            raise OSError(errno.EADDRINUSE, f"{host}:{port} is in use on this loop")
        self._given.add(address)
        listener = Listener(self, protocol_factory, address, self._forget)
        self._listeners[address] = listener
        return listener

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; an address that was listened on within this loop never leads out of it."""
        where = (address[0], address[1]) if isinstance(address, tuple) else None
        if where not in self._given:
            await super().sock_connect(sock, address)
        elif where in self._listeners:
            self._connecting[sock] = where
        else:
            raise ConnectionRefusedError(
                errno.ECONNREFUSED, f"nobody listens on {where[0]}:{where[1]} any more"
            )

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """The client half of a connection in the loop, by address or begun by `sock_connect`; else as any loop."""
        sock = options.get("sock")
        where = (host, port) if sock is None else self._connecting.pop(sock, None)
        if where not in self._given:
            return await super().create_connection(protocol_factory, host, port, **options)
        if sock is not None:
            sock.close()
        listener = self._listeners.get(where)
        if listener is None:
            raise ConnectionRefusedError(
                errno.ECONNREFUSED, f"nobody listens on {where[0]}:{where[1]} any more"
            )
        joined = self._join(protocol_factory(), listener, where)
        await asyncio.sleep(0)  # as on any loop, the protocol knows its connection before the caller does
        return joined

    def _join(
        self, protocol: asyncio.Protocol, listener: Listener, where: Address
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        self._connections += 1
        client = End(self, copy_context(), (where[0], self._connections), where)
        client.attach(protocol, listener.accept(client))
        return client, protocol

    def _forget(self, address: Address) -> None:
        self._listeners.pop(address, None)


def _metering(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **options: Any
) -> asyncio.Task[T]:
    """Tasks that metered code starts are metered, too."""
    meter = METER.get()
    if meter is not None and isinstance(work, Coroutine):
        work = Metered(work, meter)
    return asyncio.Task(work, loop=loop, **options)
