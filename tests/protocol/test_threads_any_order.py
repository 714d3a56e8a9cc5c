"""Blocking calls that begin, are left and end in any order: never more threads than allowed, nobody forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.protocol import Code, Refusal
from ranvier.protocol.threads import Workers

SIZE = 3


@dataclass(eq=False)
class Blocked:
    """A blocking call: its thread's side and its caller's."""

    number: int
    threads: set[int]
    go: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    caller: asyncio.Future[int] | None = None
    left: bool = False

    def __call__(self) -> int:
        self.threads.add(threading.get_ident())
        self.begun.set()
        self.go.wait()
        self.ended.set()
        return self.number

    @property
    def runs(self) -> bool:
        return self.begun.is_set() and not self.ended.is_set()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


class Story:
    """One run of steps against the pool, and what must hold after each."""

    def __init__(self) -> None:
        self.workers, self.threads = Workers(SIZE), set[int]()
        self.calls: list[Blocked] = []

    def waiting(self) -> list[Blocked]:
        return [call for call in self.calls if not call.begun.is_set() and not call.left]

    def abandoned(self) -> int:
        return sum(call.runs and call.left for call in self.calls)

    async def begin(self) -> None:
        call = Blocked(len(self.calls), self.threads)
        free = SIZE - sum(other.runs for other in self.calls)
        room = free > 0 or len(self.waiting()) < SIZE - self.abandoned()
        call.caller = asyncio.ensure_future(self.workers.run(call))
        await asyncio.sleep(0)
        assert call.caller.done() != room
        if room:
            self.calls.append(call)
        else:
            error = call.caller.exception()
            assert isinstance(error, Refusal)
            assert error.code is Code.BUSY

    async def leave(self, call: Blocked) -> None:
        assert call.caller is not None
        if not call.caller.done():
            call.left = True
            call.caller.cancel()
            await asyncio.wait({call.caller})
            assert call.caller.cancelled()

    async def let_go(self, call: Blocked) -> None:
        if call.begun.is_set():
            call.go.set()
            await until(call.ended.is_set)
            if not call.left:
                assert call.caller is not None
                assert await call.caller == call.number

    async def settled(self) -> None:
        """The counts come to what the calls say; in between, too, no bound is passed."""
        workers = self.workers
        before = [call for call in self.calls if call.begun.is_set()]

        def holds() -> bool:
            runs = sum(call.runs for call in self.calls)
            assert len(self.threads) <= workers.threads <= SIZE
            return (workers.running, workers.waiting, workers.abandoned) == (
                runs,
                len(self.waiting()),
                self.abandoned(),
            ) and (runs == SIZE or not self.waiting())

        await until(holds)
        first = [call.number for call in self.calls if call.begun.is_set() and call not in before]
        skipped = [call for call in self.waiting() if first and call.number < max(first)]
        assert not skipped, "who waited longer goes first"

    async def end(self) -> None:
        for call in self.calls:
            call.go.set()
        callers = [call.caller for call in self.calls if call.caller is not None]
        if callers:
            await asyncio.wait(callers)
        await until(lambda: self.workers.running == 0)
        for call in self.calls:
            assert call.caller is not None
            assert call.left or call.caller.result() == call.number
            assert call.begun.is_set() == call.ended.is_set()
        self.workers.close()
        assert self.workers.threads == self.workers.abandoned == 0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["begin", "begin", "leave", "let go"]), st.integers(0, 5)), max_size=30
    )
)
def test_any_order(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        story = Story()
        for step, which in steps:
            live = [call for call in story.calls if not call.ended.is_set()]
            if step == "begin":
                await story.begin()
            elif live:
                call = live[which % len(live)]
                await (story.leave(call) if step == "leave" else story.let_go(call))
            await story.settled()
        await story.end()

    asyncio.run(play())
