"""Blocking handlers behind an axon: the loop goes on, deadlines hold, a stuck one keeps no process from its end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import Any

import pytest

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Code,
    Dendrite,
    Door,
    HandlerUnfit,
    Job,
    Limits,
    Outcome,
    Refusal,
    Refused,
    Reply,
    Synapse,
    Target,
    TimedOut,
    keypair_from_uri,
    wanted,
)
from ranvier.protocol.handlers import served
from ranvier.protocol.threads import Workers

MINER, ALICE = keypair_from_uri("//Bob"), keypair_from_uri("//Alice")
LONG = 30.0


class Ask(Synapse):
    text: str

    class Reply(Reply):
        text: str


@asynccontextmanager
async def asking(handler: Any, **options: Any) -> AsyncIterator[tuple[Axon, Dendrite, Target]]:
    options.setdefault("door", Door.open())
    async with (
        Axon(MINER, **options).serve(Ask, handler) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        yield axon, dendrite, Target(MINER.ss58_address, "127.0.0.1", axon.port)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


class Gated:
    """Blocks until it is let go."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Semaphore(0)
        self.threads: list[str] = []

    def __call__(self, request: Ask, caller: Caller) -> Ask.Reply:
        self.threads.append(threading.current_thread().name)
        self.begun.release()
        self.go.wait()
        return Ask.Reply(text=f"{request.text} {caller.hotkey == ALICE.ss58_address}")

    async def is_begun(self, number: int = 1, calls: Sequence[asyncio.Future[Any]] = ()) -> None:
        """That many calls have; none of ``calls`` can have ended by then."""
        for _ in range(number):
            await until(lambda: self.begun.acquire(blocking=False) or any(call.done() for call in calls))
        assert [call.result() for call in calls if call.done()] == []


async def test_the_loop_beats_while_all_but_one_of_a_callers_turns_block() -> None:
    """And a request that does not block is answered meanwhile by the same axon."""
    gated, limits = Gated(), Limits(max_concurrent=10)  # eight of them for one caller

    class Other(Synapse):
        class Reply(Reply):
            beats: int

    beats = 0

    async def quick(request: Other, caller: Caller) -> Other.Reply:
        return Other.Reply(beats=beats)

    async with asking(gated, limits=limits) as (axon, dendrite, target):
        axon.serve(Other, quick)
        calls = [asyncio.ensure_future(dendrite.ask(target, Ask(text="x"), deadline=LONG)) for _ in range(7)]
        await gated.is_begun(7, calls)
        for _ in range(200):
            await asyncio.sleep(0)
            beats += 1
        outcome = await dendrite.ask(target, Other(), deadline=LONG)
        assert isinstance(outcome, Answered)
        assert outcome.reply.beats == 200
        gated.go.set()
        outcomes = await asyncio.gather(*calls)
    assert [getattr(outcome, "reply", None) for outcome in outcomes] == [Ask.Reply(text="x True")] * 7
    assert set(gated.threads) == {"ranvier-handler"}


async def test_a_deadline_holds_and_the_thread_is_counted_until_it_ends() -> None:
    gated = Gated()
    async with asking(gated, limits=Limits(max_concurrent=2, max_running_jobs=1)) as (axon, dendrite, target):
        workers = axon._service.workers
        outcomes = await dendrite.ask_all([(target, Ask(text="x"))] * 2, deadline=0.5)
        assert all(isinstance(outcome, Refused | TimedOut) for outcome in outcomes)
        await until(lambda: axon.gate.running == 0)
        assert workers.abandoned == 2
        third = asyncio.ensure_future(dendrite.ask(target, Ask(text="y"), deadline=LONG))
        await gated.is_begun(3, [third])
        assert (workers.threads, workers.running, workers.waiting) == (3, 3, 0)
        gated.go.set()
        assert isinstance(await third, Answered)
        await until(lambda: workers.abandoned == 0)
        assert workers.running == 0


async def test_without_a_free_thread_callers_are_told() -> None:
    gated = Gated()
    async with asking(gated, limits=Limits(max_concurrent=1, max_running_jobs=0)) as (axon, dendrite, target):
        await dendrite.ask(target, Ask(text="x"), deadline=0.5)
        await until(lambda: axon._service.workers.abandoned == 1)
        outcome = await dendrite.ask(target, Ask(text="y"), deadline=LONG)
        assert isinstance(outcome, Refused)
        assert outcome.code == Code.BUSY
        assert outcome.retry_after
        gated.go.set()


async def test_a_caller_that_leaves_is_seen_by_the_handler() -> None:
    begun, ended = threading.Event(), threading.Event()

    def patient(request: Ask, caller: Caller) -> Ask.Reply:
        begun.set()
        while wanted():
            time.sleep(0.001)
        ended.set()
        return Ask.Reply(text="nobody reads this")

    async with asking(patient) as (axon, dendrite, target):
        call = asyncio.ensure_future(dendrite.ask(target, Ask(text="x"), deadline=LONG))
        await until(begun.is_set)
        call.cancel()
        await until(ended.is_set)
        await until(lambda: axon._service.workers.running == 0)


def fault(request: Ask, caller: Caller) -> Ask.Reply:
    raise LookupError(request.text)


def declined(request: Ask, caller: Caller) -> Ask.Reply:
    raise Refusal(Code.DECLINED, request.text)


def ending(request: Ask, caller: Caller) -> Ask.Reply:
    sys.exit(request.text)


def nothing(request: Ask, caller: Caller) -> None:
    return None


async def hidden(request: Ask, caller: Caller) -> Ask.Reply:
    return Ask.Reply(text=request.text)


def hiding(request: Ask, caller: Caller) -> Coroutine[Any, Any, Ask.Reply]:
    return hidden(request, caller)


def breaking(request: Ask, caller: Caller) -> Iterator[str | Ask.Reply]:
    yield "piece"
    raise LookupError(request.text)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (fault, Code.FAILED),
        (declined, Code.DECLINED),
        (ending, Code.FAILED),
        (nothing, Code.FAILED),
        (hiding, Code.FAILED),
        (breaking, Code.FAILED),
    ],
)
async def test_a_blocking_handler_fails_as_any_other(handler: Any, code: Code, streamed: bool) -> None:
    async with asking(handler) as (axon, dendrite, target):
        outcome: str | Outcome[Any]
        if streamed:
            *_, outcome = [item async for item in dendrite.stream(target, Ask(text="x"), deadline=LONG)]
        else:
            outcome = await dendrite.ask(target, Ask(text="x"), deadline=LONG)
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.proven) == (code, True)
        assert axon.stats == {code: 1}
        await until(lambda: axon._service.workers.running == 0)


async def test_a_generator_streams() -> None:
    closed = threading.Event()

    def spell(request: Ask, caller: Caller) -> Iterator[str | Ask.Reply]:
        try:
            yield from request.text
            yield Ask.Reply(text=request.text)
        finally:
            closed.set()

    async with asking(spell) as (axon, dendrite, target):
        *pieces, outcome = [item async for item in dendrite.stream(target, Ask(text="word"), deadline=LONG)]
        assert pieces == list("word")
        assert isinstance(outcome, Answered)
        assert await dendrite.ask(target, Ask(text="word"), deadline=LONG)
        await until(closed.is_set)
        await until(lambda: axon._service.workers.running == 0)
        assert axon._service.workers.abandoned == 0


async def test_a_generator_is_closed_when_its_reader_leaves() -> None:
    closed = threading.Event()

    def endless(request: Ask, caller: Caller) -> Iterator[str | Ask.Reply]:
        try:
            while True:
                yield "more"
        finally:
            closed.set()

    async with asking(endless) as (axon, dendrite, target):
        stream = dendrite.stream(target, Ask(text=""), deadline=LONG)
        assert await anext(stream) == "more"
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator, in the clothes of an iterator
        await until(closed.is_set)
        await until(lambda: axon._service.workers.running == 0)


async def test_a_blocking_job() -> None:
    gated = Gated()
    async with asking(gated) as (_, dendrite, target):
        job = await dendrite.start_job(target, Ask(text="x"), within=LONG)
        assert isinstance(job, Job)
        await gated.is_begun()
        assert await dendrite.poll_job(job, wait=0.0) is None
        gated.go.set()
        outcome = await dendrite.poll_job(job, wait=LONG)
        assert isinstance(outcome, Answered)
        assert outcome.reply.text == "x True"


def three(request: Ask, caller: Caller, more: int) -> Ask.Reply:
    return Ask.Reply(text="")


def named(*, request: Ask, caller: Caller) -> Ask.Reply:
    return Ask.Reply(text="")


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (Ask, "class"),
        (3, "cannot be called"),
        (three, "more"),
        (named, "positional"),
        (lambda: None, "positional"),
    ],
)
def test_what_is_no_handler(handler: Any, why: str) -> None:
    with pytest.raises(HandlerUnfit, match=why):
        served(Ask, handler, Workers(1))


class Async:
    async def __call__(self, request: Ask, caller: Caller) -> Ask.Reply:
        return Ask.Reply(text="")

    async def method(self, request: Ask, caller: Caller) -> AsyncIterator[str | Ask.Reply]:
        yield Ask.Reply(text="")


async def more(extra: int, request: Ask, caller: Caller) -> Ask.Reply:
    return Ask.Reply(text="")


@wraps(three)
def wrapped(request: Ask, caller: Caller, more: int = 0) -> Ask.Reply:
    return three(request, caller, more)


@pytest.mark.parametrize(
    ("handler", "streams", "as_it_is"),
    [
        (Async(), False, True),
        (Async().method, True, True),
        (partial(more, 1), False, True),
        (Gated(), False, False),
        (breaking, True, False),
        (partial(three, more=1), False, False),
    ],
)
def test_kinds_of_handlers(handler: Any, streams: bool, as_it_is: bool) -> None:
    """What does not block is called as it is: a thread would only cost."""
    serving = served(Ask, handler, Workers(1))
    assert serving.streams is streams
    assert (serving.handler is handler) is as_it_is


SERVER = """
import asyncio, sys, threading
from ranvier.protocol import *

class Ask(Synapse):
    text: str
    class Reply(Reply):
        text: str

STUCK = threading.Event()

def stuck(request, caller):
    STUCK.set()
    threading.Event().wait()

async def main():
    miner = keypair_from_uri("//Bob")
    async with Axon(miner, door=Door.open()).serve(Ask, stuck) as axon:
        target = Target(miner.ss58_address, "127.0.0.1", axon.port)
        async with Dendrite(keypair_from_uri("//Alice"), addresses=AddressPolicy.local()) as dendrite:
            call = asyncio.ensure_future(dendrite.ask(target, Ask(text=""), deadline=60.0))
            while not STUCK.is_set():
                await asyncio.sleep(0.001)
            call.cancel()
    sys.stdout.write("stopped\\n")

asyncio.run(main())
sys.stdout.write("left the loop\\n")
"""


def test_a_stuck_handler_keeps_no_process_from_its_end() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", SERVER], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, "stopped\nleft the loop\n"), ended.stderr
    assert not ended.stderr
