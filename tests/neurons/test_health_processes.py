"""Miner and validator as processes: their pages, their log lines, and how they end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ranvier.protocol import AddressPolicy, Answered, Dendrite, Target


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def value(port: int, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(get(port, "/metrics")[1]):
        for sample in family.samples:
            if sample.name == f"ranvier_{name}" and labels.items() <= sample.labels.items():
                return sample.value
    return None


def wait(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def test_processes_show_themselves_and_say_one_line_a_round(world: Any) -> None:
    config = world.folder / "json.toml"
    config.write_text('[log]\nformat = "json"\n')
    ports = {"miner": free_port(), "validator": free_port()}
    running = {}
    for role, hotkey in (("miner", "m0"), ("validator", "v0")):
        more = ("--config", str(config), "--metrics-port", str(ports[role]))
        more += ("--round-blocks", "3") if role == "validator" else ()
        running[role] = world.start(role, *world.common(hotkey), *more, log=f"{role}.log")
    port = ports["validator"]
    wait(lambda: (value(port, "validator_rounds_total", status="done") or 0) >= 3)
    wait(lambda: value(port, "validator_weights_total", landing="landed"))
    assert get(port, "/health/live")[0] == 200
    assert json.loads(wait(lambda: get(ports["miner"], "/health"))[1])["alive"] is True
    assert value(ports["miner"], "miner_published") == 1
    assert value(ports["miner"], "miner_requests_total", code="answered") >= 3
    assert value(ports["miner"], "miner_answer_seconds_count") >= 3
    assert 0 <= value(port, "validator_weights_age_blocks") < 40
    done = value(port, "validator_rounds_total", status="done")
    for process in running.values():
        process.send_signal(signal.SIGTERM)
    assert [process.wait(20) for process in running.values()] == [0, 0]
    lines = [json.loads(line) for line in (world.folder / "validator.log").read_text().splitlines()]
    rounds = [int(match[1]) for line in lines if (match := re.match(r"round (\d+) at", line["message"]))]
    assert rounds == list(range(1, len(rounds) + 1))
    assert len(rounds) >= done
    assert not [line for line in lines if line["level"] == "error" or "exception" in line]
    last = json.loads((world.folder / "miner.log").read_text().splitlines()[-1])
    assert re.fullmatch(r"stopped: \d+ answered.*", last["message"])


async def test_a_miner_that_is_told_to_stop_finishes_what_runs(world: Any) -> None:
    from sums import Sum

    port, own = free_port(), free_port()
    more = ("--miner", "slow_sums:Slow", "--metrics-port", str(port), "--port", str(own))
    miner = world.start("miner", *world.common("m0"), *more, log="miner.log")
    await asyncio.to_thread(wait, lambda: value(port, "miner_published"))
    target = Target(world.key("m0").ss58_address, "127.0.0.1", own)
    async with Dendrite(world.key("v0"), addresses=AddressPolicy.local()) as dendrite:
        asked = asyncio.create_task(dendrite.ask(target, Sum(left=20, right=3), deadline=20.0))
        await asyncio.to_thread(wait, lambda: value(port, "miner_running"))
        miner.send_signal(signal.SIGTERM)
        outcome = await asked
        assert isinstance(outcome, Answered)
        assert outcome.reply.total == 23
        assert await asyncio.to_thread(miner.wait, 20) == 0
        assert not isinstance(await dendrite.ask(target, Sum(left=1, right=1), deadline=2.0), Answered)
    assert "stopped: 1 answered" in (world.folder / "miner.log").read_text()
