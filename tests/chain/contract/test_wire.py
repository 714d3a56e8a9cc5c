"""The back end over real websockets with the SDK's own session: dead sockets, lost answers, refusals at the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("bittensor")

from loopback_node import Site, loopback_site

from ranvier.chain import (
    CallRefused,
    ChainError,
    ChainTimeout,
    ChainUnreachable,
    Keypair,
    OutcomeUnknown,
    SetWeights,
    WrongChain,
)
from ranvier.chain.local import LocalChain
from ranvier.chain.server import running
from ranvier.chain.subtensor import SubtensorChain

pytestmark = pytest.mark.subtensor
ROW = SetWeights(1, (3,), (1,))
KEY, OTHER = Keypair.create_from_uri("//v0"), Keypair.create_from_uri("//v1")
INVALID = {"code": 1010, "message": "Invalid Transaction"}


@pytest.fixture
def back_end() -> str:
    return "subtensor"


@pytest.fixture
async def site(contract: Any) -> AsyncIterator[Site]:
    await contract.until(2)
    async with loopback_site(contract.behind) as found:
        yield found


@asynccontextmanager
async def opened(site: Site, **options: Any) -> AsyncIterator[SubtensorChain]:
    chain = SubtensorChain(site.endpoint, opener=site.opener, **options)
    try:
        yield chain
    finally:
        await chain.close()


async def reached(condition: Any) -> None:
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the condition did not come true")


async def test_a_half_dead_socket_is_replaced_and_freed_and_no_block_is_left_out(site: Site) -> None:
    seen: list[int] = []
    async with opened(site) as chain:

        async def follow() -> None:
            async for block in chain.blocks():
                seen.append(block.number)  # noqa: PERF401 - watched from outside while it grows

        task = asyncio.create_task(follow())
        await reached(lambda: len(seen) >= 3)
        site.way.freeze()
        mark = len(seen)
        await reached(lambda: len(seen) >= mark + 5)
        assert site.way.accepted == 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    await reached(lambda: site.way.open_now == 0)


async def test_whoever_waits_on_a_dead_socket_is_told_when_it_is_replaced(site: Site) -> None:
    """Whose deadline comes first has it replaced; the others need not wait for theirs."""
    async with opened(site, deadline=300.0) as chain:
        await chain.block()
        site.way.freeze()
        waiting = asyncio.create_task(chain.block())
        submitting = asyncio.create_task(chain.submit(ROW, KEY, deadline=300.0))
        with pytest.raises(ChainTimeout):
            await chain.submit(ROW, OTHER, deadline=0.3)
        with pytest.raises(ChainUnreachable, match="given up"):
            await waiting
        with pytest.raises(ChainUnreachable, match="given up"):
            await submitting
        assert (await chain.block()).number > 0


async def test_a_deadline_holds_on_a_dead_socket(site: Site) -> None:
    async with opened(site, deadline=0.3) as chain:
        await chain.block()
        site.way.freeze()
        with pytest.raises(ChainTimeout):
            await chain.block()
        assert (await chain.block()).number > 0
        site.way.freeze()
        with pytest.raises(ChainTimeout):
            await chain.submit(ROW, KEY, deadline=0.3)
        assert (await chain.block()).number > 0
        assert site.way.accepted == 3


async def test_a_deadline_holds_while_a_call_waits_for_its_block(site: Site) -> None:
    async with opened(site) as chain:
        site.node.pool = [{"ready": None}]
        with pytest.raises(ChainTimeout, match="look whether it took effect"):
            await chain.submit(ROW, KEY, deadline=0.3)
        site.node.pool = [{**INVALID, "data": "Custom error: 1"}]
        with pytest.raises(CallRefused):
            await chain.submit(ROW, KEY, deadline=5.0)


async def test_a_cancelled_call_leaves_no_number_behind_that_later_ones_wait_for(site: Site) -> None:
    """The SDK counts an account's calls for each connection, also those that were never sent."""
    async with opened(site) as chain:
        site.node.pool = [{"ready": None}]
        task = asyncio.create_task(chain.submit(ROW, KEY, deadline=60.0))
        await reached(lambda: "author_submitAndWatchExtrinsic" in site.node.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await chain.block()).number > 0
        assert site.way.accepted == 2


POOL = [
    ({**INVALID, "data": "Custom error: 1"}, "StakeAmountTooLow"),
    ({**INVALID, "data": "Custom error: 11"}, "InvalidIpAddress"),
    ({**INVALID, "data": {"Custom": 12}}, "ServingRateLimitExceeded"),
    ({**INVALID, "data": "Custom error: 200"}, "Custom200"),
    ({**INVALID, "data": "Transaction is outdated"}, "Stale"),
    ({**INVALID, "data": "Inability to pay some fees (e.g. account balance too low)"}, "Payment"),
    ({"code": 1014, "message": "Priority is too low: (1 vs 1)"}, "PriorityTooLow"),
    ({"code": 1002, "message": "Verification Error: Runtime error"}, "UNKNOWN"),
]


@pytest.mark.parametrize(("answer", "name"), POOL, ids=[name for _, name in POOL])
async def test_a_refusal_at_the_pool_has_its_name(site: Site, answer: Any, name: str) -> None:
    async with opened(site) as chain:
        site.node.pool = [answer]
        with pytest.raises(CallRefused, match="at the pool") as caught:
            await chain.submit(ROW, KEY, deadline=5.0)
    assert (caught.value.name, caught.value.call) == (name, "SetWeights")
    assert caught.value.next_step


UNKNOWN = [
    [{"ready": None}, "hang up"],
    [{"ready": None}, {"retracted": "0x00"}],
    [{"broadcast": ["peer"]}, "dropped"],
    [{"usurped": "0x00"}],
    ["invalid"],
    [{"finalityTimeout": "0x00"}],
    [{"code": 1013, "message": "Transaction Already Imported"}],
    [{"code": 1012, "message": "Transaction is temporarily banned"}],
    [{"code": -32603, "message": "Internal error"}],
]


@pytest.mark.parametrize("answers", UNKNOWN, ids=str)
async def test_a_lost_answer_is_not_taken_for_a_refusal(site: Site, answers: list[Any]) -> None:
    """The journal may send another vector after a refusal, and must not after this."""
    async with opened(site) as chain:
        site.node.pool = list(answers)
        with pytest.raises(OutcomeUnknown, match="look whether it took effect"):
            await chain.submit(ROW, KEY, deadline=10.0)
        assert (await chain.block()).number > 0


async def test_a_node_that_answers_garbage_raises_chain_errors_only(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ranvier.chain.subtensor.connection.OPENING_SECONDS", 0.3)
    async with opened(site, deadline=0.5) as chain:
        await chain.block()
        site.node.garbage = True
        with pytest.raises(ChainError):
            await chain.block()
        with pytest.raises(ChainError):
            await chain.submit(ROW, KEY, deadline=0.5)
        site.node.garbage = False
        async with asyncio.timeout(20.0):
            while not await answers(chain):
                pass


async def answers(chain: SubtensorChain) -> bool:
    try:
        return (await chain.block()).number > 0
    except ChainError:
        return False


async def test_an_endpoint_that_turns_into_another_chain_is_refused(
    site: Site, make_genesis: Any, tmp_path: Any
) -> None:
    other = make_genesis(clock="wall", block_time=0.05, tempo=9)
    async with opened(site) as chain, running(tmp_path / "other", other) as server:
        genesis = await chain.genesis()
        async with LocalChain(server.endpoint) as elsewhere, aclosing(chain.blocks()) as blocks:
            await anext(blocks)
            site.node.chain, ours = elsewhere, site.node.chain
            chain._connection.drop()
            with pytest.raises(WrongChain, match="another state folder"):
                await chain.block()
            with pytest.raises(WrongChain):
                for _ in range(1000):
                    await anext(blocks)
            site.node.chain = ours
            assert (await chain.block()).number > 0
            assert await chain.genesis() == genesis


async def test_attempts_to_connect_come_with_growing_pauses() -> None:
    attempts = 0

    class Shut:
        async def connect(self) -> None:
            nonlocal attempts
            attempts += 1
            raise OSError("refused")

        async def close(self) -> None:
            return

    chain = SubtensorChain("ws://127.0.0.1:1", opener=Shut, deadline=0.05)
    for _ in range(20):
        with pytest.raises(ChainUnreachable, match="refused"):
            await chain.block()
    assert attempts <= 3
    await chain.close()
    with pytest.raises(ChainUnreachable, match="closed"):
        await chain.block()


async def test_closing_ends_a_subscription(site: Site) -> None:
    async with opened(site) as chain:
        blocks = chain.blocks()
        await anext(blocks)
        await chain.close()
        with pytest.raises(ChainUnreachable, match="closed"):
            for _ in range(1000):
                await anext(blocks)
