"""The recipes of docs/legacy.md run as they are printed, in an environment with the official 10.5.0 package."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from legacy_peers import (
    ALICE,
    BOB,
    MALLORY,
    OFFICIAL,
    PYTHON,
    ROOT,
    needs_official,
    official_axon,
    official_dendrite,
    target,
)
from pydantic import Field

from ranvier.protocol import AddressPolicy, Axon, Caller, Dendrite, Door, Refused, Reply, Synapse


class Echo(Synapse):
    text: str
    tags: list[str] = Field(default_factory=list)

    class Reply(Reply):
        answer: str


def recipe(name: str, folder: Path) -> Path:
    text = (ROOT / "docs" / "legacy.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"<!-- recipe: (\w+) -->\n```python\n(.*?)```", text, re.DOTALL))
    file = folder / f"{name}_recipe.py"
    file.write_text(found[name], encoding="utf-8")
    return file


async def started(name: str, folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(
            str(PYTHON),
            str(OFFICIAL / "recipe10.py"),
            str(recipe(name, folder)),
            name,
            str(folder),
            *arguments,
        ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def said(process: asyncio.subprocess.Process, word: str) -> str:
    """What follows ``word`` on its line."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(word):
                return line.removeprefix(word).strip()
    raise AssertionError(word)


@needs_official
@pytest.mark.slow
async def test_only_the_axon_is_replaced(tmp_path: Path) -> None:
    """An official validator with a permit is answered, and a stranger is not."""
    process = await started("axon", tmp_path)
    try:
        port = int(await said(process, "READY"))
        found = await official_dendrite(port, "hash", tmp_path)
        async with Dendrite(MALLORY, addresses=AddressPolicy.local()) as dendrite:
            stranger = await dendrite.ask_legacy(target(port), Echo(text="x"), deadline=5.0)
    finally:
        process.kill()
        await process.communicate()
    assert [one["status"] for one in found] == [200, 200], found
    assert found[0]["answer"] == f"hello 2 {ALICE.ss58_address}"
    assert isinstance(stranger, Refused)
    assert (stranger.code, stranger.detail[:14]) == ("http-403", "not-registered")


@needs_official
@pytest.mark.slow
async def test_only_the_dendrite_is_replaced(tmp_path: Path) -> None:
    """One miner is still of 10.x, one has moved: both answer the same round."""

    async def answer(request: Echo, caller: Caller) -> Echo.Reply:
        return Echo.Reply(answer=f"new {caller.hotkey}")

    async with (
        official_axon("hash", tmp_path) as old,
        Axon(MALLORY, door=Door.open()).serve(Echo, answer) as axon,
    ):
        new = target(axon.port, MALLORY.ss58_address)
        addresses = (str(part) for one in (old, new) for part in (one.port, one.hotkey))
        process = await started("dendrite", tmp_path, *addresses)
        found = json.loads(await said(process, "FOUND"))
        await process.communicate()
    assert old.hotkey == BOB.ss58_address
    assert found == [
        ["Answered", f"hello 1 {ALICE.ss58_address}", False],
        ["Answered", f"new {ALICE.ss58_address}", True],
    ]


def test_the_recipes_are_there_without_the_official_package_too(tmp_path: Path) -> None:
    for name in ("axon", "dendrite"):
        compile(recipe(name, tmp_path).read_text(encoding="utf-8"), name, "exec")
