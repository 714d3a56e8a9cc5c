"""Nonces and hotkeys without end: whoever has proven nothing leaves nothing behind, in any table of the axon."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from axon_process import UNLIMITED, AxonProcess, Echo, door_of, sizes
from bittensor_core import encode_ss58
from hostile_caller import ALICE, BOB, BODY, Sent, next_nonce, response_of, send_all

from ranvier.protocol import Axon, Caller, Limits, keypair_from_uri
from ranvier.protocol.legacy.signing import DENDRITE
from ranvier.testing.loop import SimulatedLoop

BATCH = 50


def unproven(count: int, seed: int) -> Iterator[bytes]:
    """Each with a nonce and a hotkey of its own; every tenth on the 10.x wire, every eleventh a key that exists."""
    dice = random.Random(seed)
    honest = Sent.signed()
    for number in range(count):
        hotkey = encode_ss58(dice.randbytes(32), 42)
        if number % 11 == 0:
            hotkey = keypair_from_uri(f"//{seed}/{number}").ss58_address
        nonce, signature = str(next_nonce()), "0x" + dice.randbytes(64).hex()
        if number % 10 == 0:
            names = {"hotkey": hotkey, "nonce": nonce, "uuid": f"{number}", "signature": signature}
            headers = {f"{DENDRITE}{name}": value for name, value in names.items()}
            headers |= {f"{DENDRITE}version": "10005000", "bt_header_axon_hotkey": BOB.ss58_address}
            yield Sent(headers | {"computed_body_hash": dice.randbytes(32).hex()}, "/Echo", BODY).raw()
            continue
        headers = {"Hotkey": hotkey, "Nonce": nonce, "Signature": signature}
        changed = {f"X-Bittensor-{name}": value for name, value in headers.items()}
        path = f"/Echo?deadline={number + 1}"
        yield Sent(honest.headers | changed, path, BODY).raw()


def strangers(count: int) -> Iterator[bytes]:
    """Each signed by a key of its own, that the door does not know: keys are free."""
    for number in range(count):
        key = keypair_from_uri(f"//stranger/{number}")
        yield Sent.signed(key, path=f"/Echo?deadline={number + 1}").raw()


@asynccontextmanager
async def miner() -> AsyncIterator[tuple[Axon, list[str]]]:
    heard: list[str] = []

    async def echo(request: Echo, caller: Caller) -> Echo.Reply:
        heard.append(caller.hotkey)
        return Echo.Reply(text=request.text)

    limits = Limits(**UNLIMITED, unproven_timeout=1e9)
    async with Axon(BOB, door=door_of(["//Alice"]), limits=limits, legacy=True).serve(Echo, echo) as axon:
        yield axon, heard


async def told(port: int, requests: Iterator[bytes]) -> Counter[str]:
    """Over one connection, many at once on their way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    codes: Counter[str] = Counter()
    for raw in requests:
        batch = [raw, *itertools.islice(requests, BATCH - 1)]
        writer.write(b"".join(batch))
        for _ in batch:
            codes[(await response_of(reader)).code] += 1
    writer.close()
    return codes


def grown(count: int, known: int) -> tuple[dict[str, int], dict[str, int], Counter[str]]:
    """The sizes of all tables before and after ``count`` unproven requests and ``known`` strangers; the codes."""

    async def run() -> tuple[dict[str, int], dict[str, int], Counter[str]]:
        async with miner() as (axon, heard):
            assert await told(axon.port, iter([Sent.signed().raw()])) == {"answered": 1}
            before = sizes(axon)
            codes = await told(axon.port, unproven(count, seed=1))
            codes += await told(axon.port, strangers(known))
            assert heard == [ALICE.ss58_address]
            return before, sizes(axon), codes

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize(
    "count", [5_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_tables_grow_by_nothing(count: int) -> None:
    before, after, codes = grown(count, 500)
    assert after == before
    assert before["nonces"] == 2  # of the one honest request: the tables are looked at where they are
    assert before["rates"] == 1
    assert codes == {"bad-signature": count, "not-registered": 500}


async def test_nor_do_they_over_sockets_in_a_process_of_its_own() -> None:
    async with AxonProcess.run(legacy=True) as axon:
        before = await axon.asked()
        found = await send_all(axon.port, ((None, raw, True) for raw in unproven(1000, seed=2)))
        after = await axon.asked()
        assert Counter(got.code for _, got in found) == {"bad-signature": 1000}
        assert after["sizes"] == before["sizes"]
        assert after["handled"] == 0


async def test_what_callers_who_are_let_in_leave_behind_is_forgotten_in_time() -> None:
    """Nonces until they are stale anyway, rates until they are full again: bounded by the door and by time."""
    clock = [time.time_ns()]
    names = [f"//known/{number}" for number in range(40)]
    async with AxonProcess.run(callers=names, now=clock[0], limits={"rate": 1e6, "burst": 2}) as axon:
        requests = [
            Sent.signed(keypair_from_uri(name), nonce=clock[0] - place) for place, name in enumerate(names)
        ]
        found = await send_all(axon.port, ((None, each.raw(), True) for each in requests))
        assert {got.code for _, got in found} == {"answered"}
        held = (await axon.asked())["sizes"]
        assert (held["nonces"], held["rates"], held["gate"], held["jobs"]) == (80, 40, 0, 0)
