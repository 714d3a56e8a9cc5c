"""An axon and a dendrite over loopback: calls, streams, failures, deadlines, queues, draining."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
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
    Invalid,
    Limits,
    Outcome,
    Refusal,
    Refused,
    Reply,
    Standing,
    Synapse,
    Target,
    TimedOut,
    Unreachable,
    keypair_from_uri,
)
from ranvier.protocol.btauth import sign_request
from ranvier.protocol.gate import Gate, RateLimit

MINER = keypair_from_uri("//Bob")
CALLERS = {name: keypair_from_uri(f"//{name}") for name in ("Alice", "Charlie", "Dave")}
ALICE = CALLERS["Alice"]
LONG = 20.0


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str
        caller: str = ""


class Blob(Synapse):
    data: bytes

    class Reply(Reply):
        data: bytes


async def echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(text=request.text, caller=caller.hotkey)


async def spell(request: Echo, caller: Caller) -> AsyncIterator[str | Echo.Reply]:
    for letter in request.text:
        yield letter
    yield Echo.Reply(text=request.text, caller=caller.hotkey)


class Held:
    """A handler that waits until it is let go, and says how it ended."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.go = asyncio.Event()
        self.changed = asyncio.Event()

    async def __call__(self, request: Echo, caller: Caller) -> Echo.Reply:
        self.started.append(request.text)
        self.changed.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.text)
            self.changed.set()
            raise
        return Echo.Reply(text=request.text)

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.changed.clear()
            await self.changed.wait()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(
    handler: Any, synapse: type[Synapse] = Echo, **options: Any
) -> AsyncIterator[tuple[Axon, Target]]:
    options.setdefault("door", Door.open())
    async with Axon(MINER, **options).serve(synapse, handler) as axon:
        yield axon, Target(MINER.ss58_address, "127.0.0.1", axon.port)


def asking(name: str = "Alice", **options: Any) -> Dendrite:
    return Dendrite(CALLERS[name], addresses=AddressPolicy.local(), **options)


async def ask(
    target: Target, text: str = "hello", *, name: str = "Alice", deadline: float = LONG
) -> Outcome[Any]:
    async with asking(name) as dendrite:
        return await dendrite.ask(target, Echo(text=text), deadline=deadline)


async def stream(
    target: Target, text: str = "hello", deadline: float = LONG
) -> tuple[list[str], Outcome[Any]]:
    async with asking() as dendrite:
        items = [item async for item in dendrite.stream(target, Echo(text=text), deadline=deadline)]
    assert not isinstance(items[-1], str)
    return [item for item in items if isinstance(item, str)], items[-1]


def code_of(outcome: Outcome[Any]) -> str:
    assert isinstance(outcome, Refused), outcome
    assert outcome.proven or outcome.code in ("busy", "rate-limited")
    return outcome.code


@pytest.mark.parametrize(
    "text", ["", "hello", "é\n\x00𝔘", "x" * 100_000], ids=["empty", "plain", "unicode", "long"]
)
async def test_round_trip(text: str) -> None:
    async with serving(echo) as (axon, target):
        outcome = await ask(target, text)
        assert isinstance(outcome, Answered)
        assert outcome.reply == Echo.Reply(text=text, caller=ALICE.ss58_address)
        assert outcome.target == target
        assert outcome.size == len(outcome.reply.model_dump_json().encode())
        assert axon.stats == {"answered": 1}
        assert axon.received == len(Echo(text=text).model_dump_json().encode())
        assert axon.sent == outcome.size


async def test_bytes_travel_as_base64() -> None:
    async def reverse(request: Blob, caller: Caller) -> Blob.Reply:
        return Blob.Reply(data=request.data[::-1])

    async with serving(reverse, Blob) as (_, target), asking() as dendrite:
        outcome = await dendrite.ask(target, Blob(data=bytes(range(256))), deadline=LONG)
        assert isinstance(outcome, Answered)
        assert outcome.reply.data == bytes(range(256))[::-1]


async def test_the_handler_knows_its_caller_and_the_standing() -> None:
    callers: list[Caller] = []

    async def note(request: Echo, caller: Caller) -> Echo.Reply:
        callers.append(caller)
        return Echo.Reply(text="")

    door = Door()
    door.update({ALICE.ss58_address: Standing(uid=7, stake=12, validator_permit=True)})
    async with serving(note, door=door) as (_, target):
        await ask(target)
    assert callers == [Caller(ALICE.ss58_address, uid=7, stake=12, validator_permit=True)]


async def test_pieces_then_the_outcome() -> None:
    async with serving(spell) as (axon, target):
        pieces, outcome = await stream(target, "hé\nlo")
        assert axon.sent > 2 * len("hé\nlo".encode())
        assert pieces == list("hé\nlo")
        assert isinstance(outcome, Answered)
        assert outcome.reply == Echo.Reply(text="hé\nlo", caller=ALICE.ss58_address)
        assert axon.stats == {"answered": 1}


async def test_both_kinds_of_handler_answer_both_kinds_of_call() -> None:
    async with serving(spell) as (_, target):
        outcome = await ask(target)
        assert isinstance(outcome, Answered)
        assert outcome.reply.text == "hello"
    async with serving(echo) as (_, target):
        pieces, outcome = await stream(target)
        assert pieces == []
        assert isinstance(outcome, Answered)
        assert outcome.reply.text == "hello"


async def test_many_at_once_come_back_in_order() -> None:
    async with serving(echo) as (_, target), asking() as dendrite:
        requests = [(target, Echo(text=str(n))) for n in range(40)]
        outcomes = await dendrite.ask_all(requests, deadline=LONG)
        assert [each.reply.text for each in outcomes if isinstance(each, Answered)] == [
            str(n) for n in range(40)
        ]


async def raises(request: Echo, caller: Caller) -> Echo.Reply:
    raise ValueError("a secret of the miner")


async def times_out(request: Echo, caller: Caller) -> Echo.Reply:
    raise TimeoutError("a secret upstream")


async def returns_nothing(request: Echo, caller: Caller) -> Any:
    return None


async def returns_no_text(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply.model_construct(text="\ud800")


async def breaks_off(request: Echo, caller: Caller) -> AsyncIterator[str | Echo.Reply]:
    yield "a"
    raise ValueError("a secret of the miner")


async def never_ends_in_a_reply(request: Echo, caller: Caller) -> AsyncIterator[str | Echo.Reply]:
    yield "a"


FAILING = [raises, times_out, returns_nothing, returns_no_text, breaks_off, never_ends_in_a_reply]


@pytest.mark.parametrize("handler", FAILING)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_a_handler_that_fails(handler: Any, streams: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with serving(handler) as (axon, target):
        outcome = (await stream(target))[1] if streams else await ask(target)
        assert code_of(outcome) == "failed"
        assert isinstance(outcome, Refused)
        assert "secret" not in outcome.detail
        assert axon.stats == {"failed": 1}
        assert axon.gate.running == 0
    assert len(caplog.records) == 1
    assert "Echo" in caplog.text


async def declines(request: Echo, caller: Caller) -> Echo.Reply:
    raise Refusal(Code.DECLINED, "not today", retry_after=3.0)


async def test_a_refusal_of_the_handler_travels(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(declines) as (axon, target):
        outcome = await ask(target)
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.detail, outcome.retry_after) == ("declined", "not today", 3.0)
        assert outcome.proven
        _, outcome = await stream(target)
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.detail, outcome.proven) == ("declined", "not today", True)
        assert axon.stats == {"declined": 2}
    assert caplog.records == []


async def late(axon: Axon, port: int, path: str) -> bytes:
    """Ask with a deadline that the client itself does not keep; everything that came."""

    body = b'{"text":"late"}'
    headers, _ = sign_request(ALICE, "POST", path, body, MINER.ss58_address, time.time_ns())
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    got = await reader.read()
    writer.close()
    return got


async def test_the_deadline_is_kept_and_the_handler_cancelled() -> None:
    held = Held()
    async with serving(held) as (axon, _):
        got = await late(axon, axon.port, "/Echo?deadline=50")
        assert got.startswith(b"HTTP/1.1 408")
        assert b'"code": "deadline"' in got
        assert held.cancelled == ["late"]
        assert axon.stats == {"deadline": 1}


async def test_a_stream_that_is_late_ends_with_a_signed_refusal() -> None:
    ended = asyncio.Event()

    async def slow(request: Echo, caller: Caller) -> AsyncIterator[str | Echo.Reply]:
        try:
            yield "a"
            await asyncio.sleep(LONG)
        finally:
            ended.set()

    async with serving(slow) as (axon, _):
        got = await late(axon, axon.port, "/Echo?deadline=50&mode=stream")
        assert got.count(b"HTTP/1.1") == 1
        assert b'{"refusal":{"code":"deadline"' in got
        assert b'{"signature":"0x' in got
        assert got.endswith(b"0\r\n\r\n")
        assert ended.is_set()
        assert axon.stats == {"deadline": 1}


async def test_the_axon_caps_the_deadline() -> None:
    held = Held()
    async with serving(held, limits=Limits(max_deadline=0.05)) as (_, target):
        assert code_of(await ask(target, deadline=LONG)) == "deadline"
        assert held.cancelled == ["hello"]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_a_caller_that_leaves_cancels_the_handler(
    streams: bool, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()

    async def slow(request: Echo, caller: Caller) -> AsyncIterator[str | Echo.Reply]:
        yield "a"
        yield await held(request, caller)

    async with serving(slow) as (axon, target), asking() as dendrite:
        if streams:
            async with contextlib.aclosing(dendrite.stream(target, Echo(text="x"), deadline=LONG)) as items:
                async for _ in items:
                    break
        else:
            asked = asyncio.create_task(dendrite.ask(target, Echo(text="x"), deadline=LONG))
            await held.until(lambda: held.started == ["x"])
            asked.cancel()
        await until(lambda: not axon.gate.running)
        assert held.cancelled == held.started
    assert caplog.records == []


async def test_a_dendrite_gives_up_at_its_deadline() -> None:
    async with serving(Held()) as (_, target):
        # The axon keeps the same deadline: either side may be first.
        outcome = await ask(target, deadline=0.05)
        assert isinstance(outcome, TimedOut) or code_of(outcome) == "deadline"


async def queued(
    axon: Axon, target: Target, callers: list[str], held: Held
) -> list[asyncio.Task[Outcome[Any]]]:
    """One request of each caller in turn; the first runs, the others wait."""
    tasks = []
    for place, name in enumerate(callers):
        tasks.append(asyncio.create_task(ask(target, f"{name}{place}", name=name)))
        await until(lambda place=place: axon.gate.running + axon.gate.waiting + len(axon.stats) > place)
    return tasks


def staked(**stakes: int) -> Door:
    door = Door()
    door.update({CALLERS[name].ss58_address: Standing(0, stake, False) for name, stake in stakes.items()})
    return door


async def test_callers_take_turns_and_in_each_round_more_stake_goes_first() -> None:
    held = Held()
    door = staked(Alice=5, Charlie=10, Dave=1)
    async with serving(held, door=door, limits=Limits(max_concurrent=1)) as (axon, target):
        tasks = await queued(axon, target, ["Alice", "Dave", "Alice", "Charlie", "Alice", "Charlie"], held)
        held.go.set()
        await asyncio.gather(*tasks)
    assert held.started == ["Alice0", "Charlie3", "Dave1", "Charlie5", "Alice2", "Alice4"]


async def test_a_full_queue_sheds_whoever_would_come_last() -> None:
    held = Held()
    door = staked(Alice=5, Charlie=10, Dave=1)
    async with serving(held, door=door, limits=Limits(max_concurrent=1, max_queue=2)) as (axon, target):
        tasks = await queued(axon, target, ["Alice", "Dave", "Alice", "Charlie"], held)
        outcome = await tasks[2]  # Alice has had a turn in this round
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.retry_after, outcome.proven) == ("busy", 2.0, True)
        held.go.set()
        answered = await asyncio.gather(tasks[0], tasks[1], tasks[3])
        assert all(isinstance(each, Answered) for each in answered)
    assert held.started == ["Alice0", "Charlie3", "Dave1"]


async def test_one_caller_cannot_take_every_place() -> None:
    held = Held()
    async with serving(held, limits=Limits(max_per_caller=1)) as (_, target):
        first = asyncio.create_task(ask(target, "first"))
        await held.until(lambda: held.started == ["first"])
        assert code_of(await ask(target, "second")) == "busy"
        other = asyncio.create_task(ask(target, "other", name="Charlie"))
        await held.until(lambda: "other" in held.started)
        held.go.set()
        assert isinstance(await first, Answered)
        assert isinstance(await other, Answered)


async def test_the_rate_of_a_caller_is_limited() -> None:
    async with serving(echo, limits=Limits(rate=0.001, burst=2)) as (_, target):
        assert isinstance(await ask(target), Answered)
        assert isinstance(await ask(target), Answered)
        outcome = await ask(target)
        assert code_of(outcome) == "rate-limited"
        assert isinstance(outcome, Refused)
        assert outcome.retry_after is not None
        assert 0 < outcome.retry_after <= 1000
        assert isinstance(await ask(target, name="Charlie"), Answered)


def test_a_bucket_fills_with_time() -> None:
    rate = RateLimit(Limits(rate=2.0, burst=1))
    rate.take("a", 0.0)
    with pytest.raises(Refusal) as refused:
        rate.take("a", 0.25)
    assert refused.value.retry_after == pytest.approx(0.25)
    rate.take("a", 0.5)


async def test_stopping_lets_what_runs_finish_and_refuses_what_comes() -> None:
    held = Held()
    async with serving(held) as (axon, target), asking() as dendrite:
        first = asyncio.create_task(dendrite.ask(target, Echo(text="first"), deadline=LONG))
        await held.until(lambda: held.started == ["first"])
        stopping = asyncio.create_task(axon.stop(grace=LONG))
        await asyncio.sleep(0)
        assert code_of(await dendrite.ask(target, Echo(text="second"), deadline=LONG)) == "draining"
        held.go.set()
        assert isinstance(await first, Answered)
        await stopping
        assert held.started == ["first"]
        assert isinstance(await dendrite.ask(target, Echo(text="third"), deadline=LONG), Unreachable)


async def test_stopping_cuts_off_what_outlasts_the_grace() -> None:
    held = Held()
    async with serving(held) as (axon, target):
        asked = asyncio.create_task(ask(target))
        await held.until(lambda: held.started == ["hello"])
        await axon.stop(grace=0.01)
        assert held.cancelled == ["hello"]
        assert isinstance(await asked, Invalid)


def blocking(request: Echo, caller: Caller) -> Echo.Reply:
    time.sleep(0.05)
    return Echo.Reply(text=f"{threading.current_thread() is threading.main_thread()}")


class Blocking:
    def __call__(self, request: Echo, caller: Caller) -> Iterator[str | Echo.Reply]:
        yield request.text
        yield blocking(request, caller)


@pytest.mark.parametrize("handler", [blocking, Blocking()])
async def test_a_blocking_handler_runs_beside_the_loop(handler: Any) -> None:
    async with Axon(MINER, door=Door.open()).serve(Echo, handler) as axon, asking() as dendrite:
        outcomes = await dendrite.ask_all(
            [(Target(MINER.ss58_address, "127.0.0.1", axon.port), Echo(text="x"))] * 8, deadline=10.0
        )
        assert [outcome.reply.text for outcome in outcomes] == ["False"] * 8  # type: ignore[union-attr]


@pytest.mark.parametrize("handler", [Echo, 3, lambda request: None])
def test_what_cannot_be_a_handler_is_refused(handler: Any) -> None:
    with pytest.raises(HandlerUnfit):
        Axon(MINER, door=Door.open()).serve(Echo, handler)


async def test_an_unopened_dendrite_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await asking().ask(Target(MINER.ss58_address, "127.0.0.1", 1), Echo(text=""), deadline=1.0)


async def test_nobody_listens() -> None:
    async with serving(echo) as (_, target):
        pass
    assert isinstance(await ask(target), Unreachable)


async def test_a_taken_port_is_an_os_error() -> None:
    async with serving(echo) as (axon, _):
        with pytest.raises(OSError, match=r"in use"):
            await Axon(MINER, port=axon.port, door=Door.open()).start()


async def take(gate: Gate, stake: int, go: asyncio.Event) -> None:
    async with gate.turn(Caller(f"{stake}", stake=stake)):
        await go.wait()


async def test_a_waiter_that_is_shed_and_cancelled_at_once_frees_no_turn_of_others() -> None:
    gate, go = Gate(Limits(max_concurrent=1, max_queue=1)), asyncio.Event()
    running = asyncio.create_task(take(gate, 9, go))
    weak = asyncio.create_task(take(gate, 1, go))
    await until(lambda: gate.waiting == 1)
    strong = asyncio.create_task(take(gate, 5, go))
    asyncio.get_running_loop().call_soon(weak.cancel)  # runs right after `strong` sheds `weak`
    await asyncio.wait([weak])
    assert (gate.running, gate.waiting) == (1, 1)
    go.set()
    await asyncio.gather(running, strong)
    assert (gate.running, gate.waiting) == (0, 0)


async def test_shedding_one_whose_deadline_passes_at_the_same_moment_harms_nobody() -> None:
    gate, go = Gate(Limits(max_concurrent=1, max_queue=1)), asyncio.Event()
    running = asyncio.create_task(take(gate, 9, go))
    weak = asyncio.create_task(take(gate, 1, go))
    await until(lambda: gate.waiting == 1)
    strong = asyncio.create_task(take(gate, 5, go))
    weak.cancel()  # its future is done, it has not run yet, `strong` runs first
    with pytest.raises(asyncio.CancelledError):
        await weak
    go.set()
    await asyncio.gather(running, strong)
    assert (gate.running, gate.waiting) == (0, 0)
