"""Metrics of calls: what they count, and that no stranger can add a series to them."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from ranvier.neurons.metrics import METRICS, Families, Measures
from ranvier.neurons.traffic import AskedCalls, ServedCalls
from ranvier.protocol import (
    AddressPolicy,
    Axon,
    Caller,
    Dendrite,
    Door,
    Limits,
    Refused,
    Reply,
    Synapse,
    Target,
    keypair_from_uri,
)

ALICE, BOB = keypair_from_uri("//Alice"), keypair_from_uri("//Bob")


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str


def echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(text=request.text)


def shown(role: str, measures: Measures) -> dict[str, float]:
    """Every series by its name and labels, as /metrics writes them."""
    families = Families()
    families.add(role, ("5H", "1"), measures)
    return {
        json.dumps([sample.name, sample.labels]): sample.value
        for family in families
        for sample in family.samples
    }


def of(series: dict[str, float], name: str, **labels: str) -> float:
    full = {"hotkey": "5H", "netuid": "1", **labels}
    return next(value for key, value in series.items() if json.loads(key) == [f"ranvier_{name}", full])


async def test_strangers_add_no_series_to_an_axons_metrics() -> None:
    calls, dice = ServedCalls(), random.Random(7)
    axon = Axon(BOB, door=Door.open(), observe=calls.hear, limits=Limits(rate=1e6, burst=10**6))
    async with axon.serve(Echo, echo), Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
        target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
        before = shown("miner", calls.measures(axon))
        await dendrite.ask(target, Echo(text="a"), deadline=5)
        for number in range(500):
            named = type(f"Invented{number}", (Echo,), {"Reply": Echo.Reply, "__module__": __name__})
            someone = keypair_from_uri(f"//Nobody{number}")
            async with Dendrite(someone, addresses=AddressPolicy.local()) as other:
                await other.ask(target, named(text="a"), deadline=5)
        for _ in range(200):
            await garbage(axon.port, dice)
        after = shown("miner", calls.measures(axon))
    assert before.keys() == after.keys()
    assert of(after, "miner_requests_total", code="answered") == 1
    assert of(after, "miner_requests_total", code="unknown-synapse") == 500
    assert of(after, "miner_callers") == 1
    assert of(after, "miner_answer_seconds_count") == 1
    assert of(after, "miner_threads") == 1
    assert not any("Invented" in key for key in after)


async def garbage(port: int, dice: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"{dice.choice(['GET', 'PUT', 'X'])} /{dice.randbytes(8).hex()} HTTP/1.1\r\nHost: {dice.random()}\r\n"
    )
    writer.write(head.encode() + b"Connection: close\r\n\r\n")
    await reader.read()
    writer.close()


async def test_miners_add_no_series_to_a_dendrites_metrics() -> None:
    asked = AskedCalls()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"code": f"invented-{random.random()}", "detail": "x"}).encode()
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 418 No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    target = Target(BOB.ss58_address, "127.0.0.1", server.sockets[0].getsockname()[1])
    async with (
        server,
        Dendrite(ALICE, addresses=AddressPolicy.local(), observe=asked.hear) as dendrite,
    ):
        asked.of(dendrite)
        before = shown("validator", asked.measures())
        outcomes = [await dendrite.ask(target, Echo(text="a"), deadline=5) for _ in range(100)]
        after = shown("validator", asked.measures())
    assert len({one.code for one in outcomes if isinstance(one, Refused)}) == 100
    assert before.keys() == after.keys()
    assert of(after, "validator_calls_total", code="other") == 100
    assert of(after, "validator_call_seconds_count") == 100
    assert of(after, "validator_connections_opened_total") == 100


async def test_jobs_and_their_results_are_counted() -> None:
    calls = ServedCalls()
    axon = Axon(BOB, door=Door.open(), observe=calls.hear).serve(Echo, echo)
    async with axon, Dendrite(ALICE, addresses=AddressPolicy.local(), seal=True) as dendrite:
        target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
        await dendrite.ask_job(target, Echo(text="a"), within=5)
        series = shown("miner", calls.measures(axon))
    assert of(series, "miner_jobs_total", code="answered") == 1
    assert of(series, "miner_jobs_kept") == 1
    assert of(series, "miner_jobs_bytes") == len(b'{"text":"a"}')
    assert of(series, "miner_prekeys_total") == 1


@pytest.mark.parametrize("role", ["miner", "validator"])
def test_every_name_that_calls_show_is_in_the_table(role: str) -> None:
    measures: Any = (
        ServedCalls().measures(Axon(BOB, door=Door.open())) if role == "miner" else AskedCalls().measures()
    )
    names = {*measures.figures, *measures.counts, *measures.distributions}
    assert {f"{role}_{name}" for name in names} <= METRICS.keys()
