"""Miners and validators over loopback with a real chain process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from neurons_world import going, miner_node, until, validator_node
from prometheus_client.parser import text_string_to_metric_families

from ranvier.neurons.errors import NotRegistered, PortOccupied, StateInUse
from ranvier.neurons.events import RoundReport, SecretCommitted, SecretRevealed, WeightsSet
from ranvier.neurons.health import HealthServer
from ranvier.neurons.metrics import METRICS
from ranvier.protocol import AddressPolicy, Answered, Dendrite, Refused, Target
from ranvier.subnets import check_revealed
from ranvier.subnets.discover import load_miner


async def test_honest_miners_earn_and_a_free_one_does_not(world: Any) -> None:
    events: list[Any] = []
    file = world.folder / "events.jsonl"
    async with world.chain() as chain:
        nodes = [
            miner_node(world, chain, "m0"),
            miner_node(world, chain, "m1", load_miner("sums:Zero")),
            miner_node(world, chain, "m2", load_miner("sums:Broken")),
            validator_node(world, chain, "v0", [events.append], events=str(file)),
            validator_node(world, chain, "v1"),
        ]

        async def paid() -> bool:
            return any(neuron.incentive for neuron in (await chain.metagraph(1)).neurons)

        async with going(*nodes):
            await until(paid)
            await until(lambda: any(isinstance(event, SecretRevealed) for event in events))
        meta = await chain.metagraph(1)
    incentive = {name: meta.by_hotkey(world.key(name).ss58_address).incentive for name in ("m0", "m1", "m2")}
    assert incentive == {"m0": 65535, "m1": 0, "m2": 0}
    reports = [event for event in events if isinstance(event, RoundReport)]
    last = {line.hotkey: line for line in reports[-1].miners}
    assert last[world.key("m1").ss58_address].reason == "wrong sum"
    assert last[world.key("m2").ss58_address].reason == "refused: failed"
    assert last[world.key("m2").ss58_address].value == 0.0
    assert [report.round for report in reports] == sorted({report.round for report in reports})
    assert any(isinstance(event, WeightsSet) and event.landing == "landed" for event in events)
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == [
        event.event for event in events
    ]
    commitments = {event.epoch: event.commitment for event in events if isinstance(event, SecretCommitted)}
    for event in events:
        if isinstance(event, SecretRevealed):
            check_revealed(event.epoch, bytes.fromhex(event.secret), commitments[event.epoch])


async def test_a_miner_that_blocks_is_served_from_a_thread(world: Any) -> None:
    from sums import Sum

    async with world.chain() as chain:
        node = miner_node(world, chain, "m0", load_miner("slow_sums:Blocking"))
        async with going(node):
            await until(lambda: _served(chain, world.key("m0").ss58_address))
            target = Target(node.key.ss58_address, "127.0.0.1", node.axon.port)
            async with Dendrite(world.key("v0"), addresses=AddressPolicy.local()) as dendrite:
                outcome = await dendrite.ask(target, Sum(left=1, right=2), deadline=5.0)
            figures = node.health().measures.figures
    assert isinstance(outcome, Answered)
    assert outcome.reply.total == 3
    assert figures["threads"] == 1


async def test_the_door_follows_the_metagraph(world: Any) -> None:
    from sums import Sum

    async with world.chain() as chain:
        node = miner_node(world, chain, "m0")
        async with going(node):
            await until(lambda: _served(chain, world.key("m0").ss58_address))
            target = Target(node.key.ss58_address, "127.0.0.1", node.axon.port)
            outcomes = {}
            for name in ("v0", "m1", "stranger"):
                async with Dendrite(world.key(name), addresses=AddressPolicy.local()) as dendrite:
                    outcomes[name] = await dendrite.ask(target, Sum(left=1, right=2), deadline=5.0)
    assert isinstance(outcomes["v0"], Answered)
    assert outcomes["v0"].reply.total == 3
    assert isinstance(outcomes["m1"], Refused)
    assert outcomes["m1"].code == "low-stake"
    assert outcomes["stranger"].code == "not-registered"


async def _served(chain: Any, hotkey: str) -> bool:
    return (await chain.metagraph(1)).by_hotkey(hotkey).axon is not None


async def test_a_validator_comes_back_with_its_scores(world: Any) -> None:
    reports: list[Any] = []
    async with world.chain() as chain, going(miner_node(world, chain, "m0")):
        await until(lambda: _served(chain, world.key("m0").ss58_address))
        async with going(validator_node(world, chain, "v0", [reports.append])):
            await until(lambda: sum(isinstance(event, RoundReport) for event in reports) >= 2)
        before = [event for event in reports if isinstance(event, RoundReport)][-1]
        reports.clear()
        async with going(validator_node(world, chain, "v0", [reports.append])):
            await until(lambda: any(isinstance(event, RoundReport) for event in reports))
    after = next(event for event in reports if isinstance(event, RoundReport))
    assert after.round > before.round
    assert after.miners[0].average > before.miners[0].average > 0


async def test_a_second_validator_with_one_hotkey_is_refused(world: Any) -> None:
    async with world.chain() as chain, going(validator_node(world, chain, "v0")):
        await until(lambda: list((world.folder / "nodes").glob("*.sqlite")))
        with pytest.raises(StateInUse, match="stop the other one"):
            await validator_node(world, chain, "v0").run(asyncio.Event())


async def test_a_stranger_and_an_occupied_port_are_refused_at_the_start(world: Any) -> None:
    async with world.chain() as chain:
        with pytest.raises(NotRegistered, match="--register"):
            await miner_node(world, chain, "stranger").run(asyncio.Event())
        node = miner_node(world, chain, "m0")
        async with going(node):
            await until(lambda: _served(chain, world.key("m0").ss58_address))
            with pytest.raises(PortOccupied, match="occupied"):
                await miner_node(world, chain, "m1", port=node.axon.port).run(asyncio.Event())


async def test_health_names_what_is_wrong_and_metrics_count(new_world: Callable[..., Any]) -> None:
    world = new_world()
    async with world.chain() as chain:
        node = validator_node(world, chain, "v0")
        async with (
            going(node),
            HealthServer([node], "127.0.0.1", 0) as server,
            aiohttp.ClientSession() as session,
        ):
            await until(lambda: node.health().measures.figures.get("block"))
            async with session.get(f"http://127.0.0.1:{server.port}/health") as response:
                assert (response.status, (await response.json())["degraded"]) == (200, False)
            async with session.get(f"http://127.0.0.1:{server.port}/metrics") as response:
                assert "ranvier_validator_block{" in await response.text()
            node._problems["weights"] = "weights not set: because"
            async with session.get(f"http://127.0.0.1:{server.port}/health") as response:
                assert response.status == 503
                assert "because" in await response.text()


async def test_the_state_names_every_round(world: Any) -> None:
    async with world.chain() as chain:
        validator = validator_node(world, chain, "v0")
        async with going(miner_node(world, chain, "m0"), validator):
            await until(lambda: validator.health().measures.figures.get("round", 0) >= 2)
    rows = sqlite3.connect(validator.state_file)
    try:
        assert rows.execute("SELECT DISTINCT status FROM rounds").fetchall() == [("done",)]
        assert rows.execute("SELECT count(*) FROM secrets").fetchone()[0] >= 1
        assert rows.execute("SELECT value FROM memory").fetchone()[0] not in ("null", "0")
    finally:
        rows.close()


async def test_metrics_parse_and_every_name_is_declared(world: Any) -> None:
    async with world.chain() as chain:
        miner, validator = miner_node(world, chain, "m0"), validator_node(world, chain, "v0")
        async with (
            going(miner, validator),
            HealthServer([miner, validator], "127.0.0.1", 0) as server,
            aiohttp.ClientSession() as session,
        ):
            await until(lambda: validator.health().measures.counts.get("weights_total", {}).get("landed"))
            async with session.get(f"http://127.0.0.1:{server.port}/metrics") as response:
                families = {one.name: one for one in text_string_to_metric_families(await response.text())}
            async with session.get(f"http://127.0.0.1:{server.port}/health/live") as response:
                assert response.status == 200
            async with session.get(f"http://127.0.0.1:{server.port}/health") as response:
                roles = [node["role"] for node in (await response.json())["nodes"]]
    assert roles == ["miner", "validator"]
    shown = {name.removeprefix("ranvier_") for name in families}
    assert shown == {name.removesuffix("_total") for name in METRICS}
    answered = families["ranvier_miner_requests"].samples
    assert any(one.labels["code"] == "answered" and one.value >= 1 for one in answered)
    counted = [one for one in families["ranvier_miner_answer_seconds"].samples if one.name.endswith("_count")]
    assert counted[0].value >= 1
    assert families["ranvier_miner_received_bytes"].samples[0].value > 10
    assert families["ranvier_miner_sent_bytes"].samples[0].value > 10
    assert families["ranvier_miner_callers"].samples[0].value == 1
    assert families["ranvier_miner_published"].samples[0].value == 1
    assert families["ranvier_validator_permit"].samples[0].value == 1
    for family in families.values():
        assert family.documentation == METRICS[_declared(family.name)].help
        for sample in family.samples:
            assert set(sample.labels) <= {"hotkey", "netuid", "le", METRICS[_declared(family.name)].label}


def _declared(name: str) -> str:
    short = name.removeprefix("ranvier_")
    return short if short in METRICS else f"{short}_total"
