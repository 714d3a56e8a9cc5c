"""Every form that a body can travel in, end to end over loopback: frames, packed, sealed, and long jobs in each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from pydantic import BaseModel

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Blob,
    Caller,
    Dendrite,
    Door,
    Invalid,
    Job,
    Like,
    Limits,
    Outcome,
    ProtocolError,
    Refusal,
    Refused,
    Reply,
    Synapse,
    Target,
    Tensor,
    TimedOut,
    Unreachable,
    keypair_from_uri,
)
from ranvier.protocol.codes import Code

ALICE, BOB, CAROL = (keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Carol"))
SECRET = "the password is swordfish"


class Scale(Synapse):
    values: Annotated[Tensor, Like("float32", (None, None))]
    picture: Blob
    factor: float = 2.0

    class Reply(Reply):
        values: Tensor
        picture: Blob


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str


async def scale(request: Scale, caller: Caller) -> Scale.Reply:
    return Scale.Reply(
        values=Tensor.of(request.values.array * np.float32(request.factor)), picture=request.picture
    )


async def echo(request: Echo, caller: Caller) -> AsyncIterator[str | BaseModel]:
    for letter in request.text[:3]:
        yield letter
    if request.text == "decline":
        raise Refusal(Code.DECLINED, SECRET)
    yield Echo.Reply(text=request.text)


class Wiretap:
    """A relay between a dendrite and an axon that keeps what passes, and may change it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[tuple[bytes, bytes]] = []
        self.paths: list[str] = []
        self.change: Any = lambda headers, body: (headers, body)

    async def handle(self, request: web.Request) -> web.Response:
        return await self.relay(request)

    async def relay(self, request: web.Request) -> web.Response:
        body = await request.read()
        url = f"http://127.0.0.1:{self.port}{request.raw_path}"
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, url, data=body, headers=request.headers) as response,
        ):
            answer = await response.read()
            kept = [name for name in response.headers if name.startswith("X-") or name == "Content-Type"]
            self.seen.append((body, answer))
            self.paths.append(request.raw_path)
            headers, answer = self.change({name: response.headers[name] for name in kept}, answer)
            return web.Response(body=answer, status=response.status, headers=headers)


@asynccontextmanager
async def wire(axon: Axon, **options: Any) -> AsyncIterator[tuple[Dendrite, Target, Wiretap]]:
    async with axon, Dendrite(ALICE, addresses=AddressPolicy.local(), **options) as dendrite:
        tap = Wiretap(axon.port)
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{rest:.*}", tap.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield dendrite, Target(BOB.ss58_address, "127.0.0.1", runner.addresses[0][1]), tap
        finally:
            await runner.cleanup()


def axon(**options: Any) -> Axon:
    limits = options.pop("limits", Limits(max_body=1 << 22))
    served = Axon(BOB, door=Door.open(), limits=limits, **options)
    return served.serve(Scale, scale).serve(Echo, echo)


def a_scale(size: int = 4) -> Scale:
    values = np.arange(size * size, dtype=np.float32).reshape(size, size)
    return Scale(values=Tensor.of(values), picture=Blob.of(b"\x89PNG\r\n" + bytes(range(256))))


@pytest.mark.parametrize("options", [{}, {"seal": True}, {"compress": True}], ids=str)
async def test_tensors_and_pictures_travel_as_they_are(options: dict[str, bool]) -> None:
    async with wire(axon(), **options) as (dendrite, target, tap):
        outcome = await dendrite.ask(target, a_scale(64), deadline=10)
        assert isinstance(outcome, Answered), outcome
        assert np.array_equal(outcome.reply.values.array, a_scale(64).values.array * 2)
        assert bytes(outcome.reply.picture) == bytes(a_scale().picture)
        raw = bytes(a_scale().picture)
        # In clear the bytes themselves are on the wire, without base64; packed and sealed they are not to be seen.
        assert (raw in tap.seen[-1][0]) == (options == {})


async def test_a_tensor_of_another_shape_is_refused_by_the_type() -> None:
    async with wire(axon()) as (dendrite, target, _):
        bad = Scale.model_construct(
            values=Tensor.of(np.zeros(3, np.float32)), picture=Blob.of(b""), factor=1.0
        )
        outcome = await dendrite.ask(target, bad, deadline=10)
        assert (
            isinstance(outcome, Refused) and outcome.code == "invalid-request" and "shape" in outcome.detail
        )


async def test_a_json_caller_may_ask_for_tensors_too() -> None:
    import time

    from ranvier.protocol.btauth import sign_request

    async with wire(axon()) as (_, target, _tap), aiohttp.ClientSession() as session:
        body = a_scale().model_dump_json().encode()
        headers, _digest = sign_request(ALICE, "POST", "/Scale", body, BOB.ss58_address, time.time_ns())
        async with session.post(
            f"http://127.0.0.1:{target.port}/Scale", data=body, headers=headers
        ) as response:
            assert response.status == 200 and response.content_type == "application/json"
            reply = Scale.Reply.model_validate_json(await response.read())
            assert np.array_equal(reply.values.array, a_scale().values.array * 2)


async def test_a_packed_call_is_smaller_on_the_wire_and_the_same_at_both_ends() -> None:
    text = "again and again " * 4000
    async with wire(axon(), compress=True) as (dendrite, target, tap):
        outcome = await dendrite.ask(target, Echo(text=text), deadline=10)
        assert isinstance(outcome, Answered) and outcome.reply.text == text
        assert "packed=zlib" in tap.paths[-1] and "unpack=zlib" in tap.paths[-1]
        assert all(len(part) < len(text) / 20 for part in tap.seen[-1]) and outcome.size == len(
            tap.seen[-1][1]
        )


async def test_a_reply_is_not_packed_for_a_caller_that_did_not_ask() -> None:
    async with wire(axon()) as (dendrite, target, tap):
        await dendrite.ask(target, Echo(text="x" * 50_000), deadline=10)
        assert len(tap.seen[-1][1]) > 50_000 and "zlib" not in tap.paths[-1]


async def test_a_bomb_in_a_request_is_refused_at_its_cap() -> None:
    import time
    import zlib

    from ranvier.protocol.btauth import sign_request

    bomb = zlib.compress(b'{"text":"' + b"a" * (1 << 26) + b'"}', 9)
    async with wire(axon()) as (_, target, _tap), aiohttp.ClientSession() as session:
        path = "/Echo?packed=zlib"
        headers, _digest = sign_request(ALICE, "POST", path, bomb, BOB.ss58_address, time.time_ns())
        async with session.post(
            f"http://127.0.0.1:{target.port}{path}", data=bomb, headers=headers
        ) as response:
            assert response.status == 422 and "unpacks to more" in (await response.json())["detail"]


async def test_sealed_bodies_are_unreadable_on_the_way_in_both_directions() -> None:
    async with wire(axon(), seal=True) as (dendrite, target, tap):
        outcome = await dendrite.ask(target, Echo(text=SECRET), deadline=10)
        assert isinstance(outcome, Answered) and outcome.reply.text == SECRET
        assert tap.paths[0] == "/-/prekey" and "seal=" in tap.paths[1]
        assert not any(SECRET.encode() in part for pair in tap.seen for part in pair)
        await dendrite.ask(target, Echo(text="again"), deadline=10)
        assert tap.paths.count("/-/prekey") == 1  # it is remembered


async def test_a_sealed_stream_keeps_its_pieces_secret_and_whole() -> None:
    async with wire(axon(), seal=True) as (dendrite, target, tap):
        *pieces, outcome = [part async for part in dendrite.stream(target, Echo(text=SECRET), deadline=10)]
        assert "".join(pieces) == SECRET[:3] and isinstance(outcome, Answered)  # type: ignore[arg-type]
        assert b"piece" not in tap.seen[-1][1] and SECRET.encode() not in tap.seen[-1][1]


async def test_a_handlers_words_in_a_refusal_are_sealed_too() -> None:
    async with wire(axon(), seal=True) as (dendrite, target, tap):
        outcome = await dendrite.ask(target, Echo(text="decline"), deadline=10)
        assert isinstance(outcome, Refused) and outcome.proven and outcome.detail == SECRET
        assert SECRET.encode() not in tap.seen[-1][1]


async def test_an_axon_that_requires_seals_refuses_bodies_in_clear() -> None:
    async with wire(axon(seal_required=True)) as (dendrite, target, _):
        outcome = await dendrite.ask(target, Echo(text="x"), deadline=10)
        assert isinstance(outcome, Refused) and outcome.code == "seal-required" and outcome.proven
    async with wire(axon(seal_required=True), seal=True) as (dendrite, target, _):
        assert isinstance(await dendrite.ask(target, Echo(text="x"), deadline=10), Answered)
    with pytest.raises(ProtocolError, match=r"10\.x"):
        axon(seal_required=True, legacy=True)


async def test_a_restarted_miner_is_asked_again_with_its_new_prekey() -> None:
    first = axon()
    async with wire(first, seal=True) as (dendrite, target, tap):
        assert isinstance(await dendrite.ask(target, Echo(text="x"), deadline=10), Answered)
        async with axon() as second:
            tap.port = second.port
            assert isinstance(await dendrite.ask(target, Echo(text="y"), deadline=10), Answered)
            assert tap.paths.count("/-/prekey") == 2


def strip_signature(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return {name: value for name, value in headers.items() if not name.startswith("X-")}, body


def answer_in_clear(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    if b"hotkey" in body:
        return headers, body
    return {**headers, "Content-Type": "application/json"}, b'{"text":"clear"}'


def no_prekey(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return (headers, b"{}") if b"expires" in body else (headers, body)


def relabel(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return {**headers, "Content-Type": headers["Content-Type"].removesuffix("+sealed")}, body


@pytest.mark.parametrize("change", [strip_signature, answer_in_clear, no_prekey, relabel])
async def test_nothing_stripped_on_the_way_makes_a_sealing_dendrite_fall_back(change: Any) -> None:
    async with wire(axon(), seal=True) as (dendrite, target, tap):
        if change is not no_prekey:
            await dendrite.ask(target, Echo(text="fetch the prekey"), deadline=10)
        tap.change = change
        outcome = await dendrite.ask(target, Echo(text=SECRET), deadline=10)
        assert isinstance(outcome, Invalid), outcome
        assert not any(SECRET.encode() in part for pair in tap.seen for part in pair)


@pytest.mark.parametrize(
    "query",
    ["mode=quick", "deadline=0", "deadline=1&deadline=2", "codec=pickle", "colour=red", "packed=gzip", "seal=x",
     "packed=zlib&seal=" + "0" * 32, "deadline=1&", "DEADLINE=1"],
)  # fmt: skip
async def test_a_query_that_is_not_as_documented_is_refused(query: str) -> None:
    import time

    from ranvier.protocol.btauth import sign_request

    async with axon() as served, aiohttp.ClientSession() as session:
        path, body = f"/Echo?{query}", b'{"text":"x"}'
        headers, _digest = sign_request(ALICE, "POST", path, body, BOB.ss58_address, time.time_ns())
        async with session.post(
            f"http://127.0.0.1:{served.port}{path}", data=body, headers=headers
        ) as response:
            assert response.status == 422 and (await response.json())["code"] == "invalid-request"


# Long jobs


class Dig(Synapse):
    depth: int

    class Reply(Reply):
        found: int


class Mine:
    """A handler that waits until it is told to go on."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = self.cancelled = 0

    async def __call__(self, request: Dig, caller: Caller) -> Dig.Reply:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if request.depth < 0:
            raise Refusal(Code.DECLINED, "too shallow")
        return Dig.Reply(found=request.depth * 2)


@pytest.mark.parametrize("options", [{}, {"seal": True}, {"compress": True}], ids=str)
async def test_a_long_job_is_begun_polled_and_read_again(options: dict[str, bool]) -> None:
    mine = Mine()
    async with wire(axon().serve(Dig, mine), **options) as (dendrite, target, _):
        job = await dendrite.start_job(target, Dig(depth=21), within=60)
        assert isinstance(job, Job) and job.doubt is None
        assert await dendrite.poll_job(job, wait=0) is None
        mine.go.set()
        for _again in range(2):
            outcome = await dendrite.poll_job(job, wait=10)
            assert isinstance(outcome, Answered) and outcome.reply.found == 42


async def test_a_job_is_nobody_elses() -> None:
    mine = Mine()
    async with wire(axon().serve(Dig, mine)) as (dendrite, target, _):
        job = await dendrite.start_job(target, Dig(depth=1), within=60)
        assert isinstance(job, Job)
        mine.go.set()
        async with Dendrite(CAROL, addresses=AddressPolicy.local()) as other:
            for outcome in (await other.poll_job(job, wait=0), await other.cancel_job(job)):
                assert isinstance(outcome, Refused) and outcome.code == "unknown-job" and outcome.proven
        assert isinstance(await dendrite.poll_job(job), Answered)


async def test_a_sealed_jobs_result_is_not_given_in_clear() -> None:
    mine = Mine()
    mine.go.set()
    async with wire(axon().serve(Dig, mine), seal=True) as (dendrite, target, _):
        job = await dendrite.start_job(target, Dig(depth=1), within=60)
        assert isinstance(job, Job)
        async with Dendrite(ALICE, addresses=AddressPolicy.local()) as careless:
            outcome = await careless.poll_job(job)
            assert isinstance(outcome, Refused) and outcome.code == "seal-required"


async def test_ask_job_waits_for_the_end_whatever_the_connection_does() -> None:
    mine = Mine()
    async with wire(axon().serve(Dig, mine)) as (dendrite, target, tap):
        good, broken = tap.port, 1
        working = asyncio.ensure_future(dendrite.ask_job(target, Dig(depth=4), within=60))
        while not mine.begun:
            await asyncio.sleep(0.01)
        tap.port = broken  # polls fail for a while: the relay answers 500 without a code
        await asyncio.sleep(0.05)
        tap.port = good
        mine.go.set()
        outcome: Outcome[Any] = await working
        assert isinstance(outcome, Answered) and outcome.reply.found == 8


async def test_a_refusal_of_a_jobs_handler_is_its_outcome() -> None:
    mine = Mine()
    mine.go.set()
    async with wire(axon().serve(Dig, mine)) as (dendrite, target, _):
        outcome = await dendrite.ask_job(target, Dig(depth=-1), within=60)
        assert isinstance(outcome, Refused) and outcome.code == "declined" and outcome.proven


async def test_a_cancelled_caller_cancels_its_job_at_the_miner() -> None:
    mine = Mine()
    async with wire(axon().serve(Dig, mine)) as (dendrite, target, _):
        working = asyncio.ensure_future(dendrite.ask_job(target, Dig(depth=1), within=60))
        while not mine.begun:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        while not mine.cancelled:
            await asyncio.sleep(0.01)


async def test_jobs_have_their_own_places_and_their_own_deadline() -> None:
    mine = Mine()
    limits = Limits(max_concurrent=2, max_running_jobs=2, max_jobs_per_caller=3, max_job_deadline=0.2)
    async with wire(axon(limits=limits).serve(Dig, mine)) as (dendrite, target, _):
        jobs = [await dendrite.start_job(target, Dig(depth=n), within=1000) for n in range(3)]
        full = await dendrite.start_job(target, Dig(depth=9), within=1000)
        assert isinstance(full, Refused) and full.code == "busy" and full.retry_after
        assert mine.begun == 2  # the third waits its turn
        assert isinstance(await dendrite.ask(target, Echo(text="short"), deadline=5), Answered)
        for job in jobs:
            assert isinstance(job, Job)
            outcome = await dendrite.poll_job(job)
            assert isinstance(outcome, Refused) and outcome.code == "deadline"


async def test_a_miner_that_is_not_there_is_told_at_once() -> None:
    async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
        outcome = await dendrite.ask_job(Target(BOB.ss58_address, "127.0.0.1", 1), Dig(depth=1), within=60)
        assert isinstance(outcome, Unreachable)


async def test_a_job_whose_acknowledgement_was_lost_is_found_by_its_id() -> None:
    mine = Mine()
    mine.go.set()
    async with wire(axon().serve(Dig, mine)) as (dendrite, target, tap):
        tap.change = lambda headers, body: (headers, b"{") if b"running" in body else (headers, body)
        job = await dendrite.start_job(target, Dig(depth=5), within=60)
        assert isinstance(job, Job) and isinstance(job.doubt, Invalid)
        outcome = await dendrite.poll_job(job)
        assert isinstance(outcome, Answered) and outcome.reply.found == 10


async def test_what_never_began_is_told_as_what_its_beginning_came_to() -> None:
    async with wire(axon().serve(Dig, Mine())) as (dendrite, target, _):
        job = Job(target, Dig, "0" * 64, (await dendrite.start_job(target, Dig(depth=1), within=9)).query)  # type: ignore[union-attr]
        doubted = Job(job.target, job.synapse, job.id, job.query, TimedOut(target, 1.0))
        assert isinstance(
            await dendrite._errands.ended(doubted, asyncio.get_running_loop().time() + 9), TimedOut
        )


async def test_a_job_whose_acknowledgement_is_late_keeps_its_name() -> None:
    mine = Mine()
    mine.go.set()
    async with wire(axon().serve(Dig, mine)) as (dendrite, target, tap):
        relay = tap.relay

        async def slow(request: web.Request) -> web.Response:
            response = await relay(request)
            await asyncio.sleep(0.4)
            return response

        tap.relay = slow  # type: ignore[method-assign]
        job = await dendrite.start_job(target, Dig(depth=5), within=60, deadline=0.2)
        assert isinstance(job, Job) and isinstance(job.doubt, TimedOut)
        outcome = await dendrite.poll_job(job)
        assert isinstance(outcome, Answered) and outcome.reply.found == 10
