"""The page about handlers: its example runs, and its figures are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Dendrite,
    Door,
    Limits,
    Refused,
    Target,
    keypair_from_uri,
)
from ranvier.protocol.jobs import MAX_KEPT

PAGE = (Path(__file__).parents[2] / "docs" / "handlers.md").read_text()


@pytest.fixture
def example() -> dict[str, Any]:
    found = re.search(r"<!-- handlers -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(found[1], "docs/handlers.md", "exec", dont_inherit=True), names)
    return names


async def test_the_example_counts(example: dict[str, Any]) -> None:
    count, miner = example["Count"], keypair_from_uri("//Bob")
    async with (
        Axon(miner, door=Door.open()).serve(count, example["count"]) as axon,
        Dendrite(keypair_from_uri("//Alice"), addresses=AddressPolicy.local()) as dendrite,
    ):
        target = Target(miner.ss58_address, "127.0.0.1", axon.port)
        *pieces, outcome = [item async for item in dendrite.stream(target, count(to=250_000), deadline=60.0)]
        assert pieces == ["0 ", "100000 ", "200000 "]
        assert isinstance(outcome, Answered)
        assert outcome.reply.total == sum(range(250_000))
        refused = await dendrite.ask(target, count(to=10**10), deadline=60.0)
        assert isinstance(refused, Refused)
        assert refused.detail == "too much work"


def test_its_figures_are_those_of_the_code() -> None:
    limits = Limits()
    assert f"{limits.max_concurrent + limits.max_running_jobs} by default" in PAGE
    assert f"{MAX_KEPT >> 20} MiB" in PAGE
    for name in re.findall(r"`(max_[a-z_]+|job_ttl)", PAGE):
        assert hasattr(limits, name), name
