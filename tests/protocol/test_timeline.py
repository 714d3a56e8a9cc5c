"""Where the time of a call went, told to whoever listens, and to nobody else."""

from __future__ import annotations

import asyncio
import itertools
import logging
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
    Limits,
    Refusal,
    Reply,
    Synapse,
    Target,
    keypair_from_uri,
)
from ranvier.protocol.timeline import Timeline

ALICE, BOB = keypair_from_uri("//Alice"), keypair_from_uri("//Bob")


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str


async def echo(request: Echo, caller: Caller) -> Echo.Reply:
    if request.text == "decline":
        raise Refusal(Code.DECLINED)
    if request.text == "wait":
        await asyncio.sleep(0.05)
    return Echo.Reply(text=request.text)


async def ask(text: str, **options: Any) -> tuple[list[Timeline], list[Timeline]]:
    served: list[Timeline] = []
    asked: list[Timeline] = []
    async with (
        Axon(BOB, door=Door.open(), observe=served.append, **options).serve(Echo, echo) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local(), observe=asked.append) as dendrite,
    ):
        await dendrite.ask(Target(BOB.ss58_address, "127.0.0.1", axon.port), Echo(text=text), deadline=5)
    return served, asked


def steps(timeline: Timeline) -> list[str]:
    return [name for name, _ in timeline.marks]


async def test_an_answered_call_passes_every_step_on_both_sides() -> None:
    (served,), (asked,) = await ask("wait")
    assert steps(served) == ["received", "verified", "admitted", "started", "handled", "sent"]
    assert steps(asked) == ["begun", "prepared", "head", "whole", "verified"]
    assert (served.side, served.synapse, served.peer, served.ending) == (
        "axon",
        "Echo",
        ALICE.ss58_address,
        "answered",
    )
    assert (asked.synapse, asked.peer, asked.ending) == ("Echo", BOB.ss58_address, "answered")
    handled, total = served.between("started", "handled"), served.total
    assert handled is not None and 0.045 < handled <= total and asked.total >= handled
    assert [when for _, when in served.marks] == sorted(when for _, when in served.marks)


async def test_a_refused_call_ends_with_its_code() -> None:
    (served,), (asked,) = await ask("decline")
    assert (served.ending, asked.ending) == ("declined", "declined")
    assert steps(served) == ["received", "verified", "admitted", "started", "sent"]


async def test_a_stranger_is_told_without_a_name() -> None:
    served: list[Timeline] = []
    async with Axon(BOB, door=Door.open(), observe=served.append).serve(Echo, echo) as axon:
        reader, writer = await asyncio.open_connection("127.0.0.1", axon.port)
        writer.write(b"POST /Whatever-they-say HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        while not served:
            await asyncio.sleep(0)
    assert (served[0].synapse, served[0].peer, served[0].ending) == ("", "", "malformed")
    assert str(served[0]).startswith("axon ? malformed: sent ")


async def test_one_line_for_each_call_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ranvier.protocol.timeline")
    await ask("hello")
    lines = [record.getMessage() for record in caplog.records if record.name == "ranvier.protocol.timeline"]
    assert len(lines) == 2
    assert lines[0].startswith(f"axon Echo of {ALICE.ss58_address} answered: verified ") and lines[
        0
    ].endswith(" ms")
    assert lines[1].startswith(f"dendrite Echo to {BOB.ss58_address} answered: prepared ")


async def test_nobody_pays_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(Timeline, "__init__", lambda self, *_: made.append(self))
    async with (
        Axon(BOB, door=Door.open()).serve(Echo, echo) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
        assert isinstance(await dendrite.ask(target, Echo(text="x"), deadline=5), Answered)
    assert made == []


async def test_a_broken_observer_costs_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def broken(timeline: Timeline) -> None:
        raise ZeroDivisionError

    async with (
        Axon(BOB, door=Door.open(), observe=broken).serve(Echo, echo) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local(), observe=broken) as dendrite,
    ):
        target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
        assert isinstance(await dendrite.ask(target, Echo(text="x"), deadline=5), Answered)
    assert caplog.text.count("the observer of timelines failed") == 2


async def test_a_wait_in_the_queue_is_told_as_one() -> None:
    served: list[Timeline] = []
    async with (
        Axon(BOB, door=Door.open(), observe=served.append, limits=Limits(max_concurrent=1)).serve(
            Echo, echo
        ) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
        await dendrite.ask_all([(target, Echo(text="wait"))] * 3, deadline=5)
    marks = sorted([timeline.at(step) for step in ("admitted", "started", "handled")] for timeline in served)
    # One place: who waits has started when the one before was handled, however late it was admitted.
    turns = sorted((started, handled) for _, started, handled in marks)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(turns))
    assert all(admitted < started for admitted, started, _ in marks)


async def test_a_job_has_a_timeline_for_its_work() -> None:
    served: list[Timeline] = []
    async with (
        Axon(BOB, door=Door.open(), observe=served.append).serve(Echo, echo) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
        for text in ("wait", "decline"):
            await dendrite.ask_job(target, Echo(text=text), within=5)
        assert dendrite.endings == {"answered": 1, "declined": 1}
    work = {timeline.ending: timeline for timeline in served if "kept" in steps(timeline)}
    assert steps(work["answered"]) == ["received", "started", "handled", "kept"]
    assert steps(work["declined"]) == ["received", "started", "kept"]
    assert {timeline.ending for timeline in served} == {"answered", "declined", "job running", "job read"}


async def test_a_caller_that_leaves_is_told_as_one_that_left() -> None:
    served: list[Timeline] = []
    begun, told = asyncio.Event(), asyncio.Event()

    async def slow(request: Echo, caller: Caller) -> Echo.Reply:
        begun.set()
        await asyncio.sleep(60)
        return Echo.Reply(text="")

    def hear(timeline: Timeline) -> None:
        served.append(timeline)
        told.set()

    async with (
        Axon(BOB, door=Door.open(), observe=hear).serve(Echo, slow) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
        call = asyncio.ensure_future(dendrite.ask(target, Echo(text=""), deadline=30))
        await begun.wait()
        call.cancel()
        async with asyncio.timeout(10):
            await told.wait()
    assert served[0].ending == "left"
    assert "handled" not in steps(served[0])
