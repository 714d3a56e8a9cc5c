"""A call is carried out once, for its signer, on its chain, within its life."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from ranvier.chain import RAO, CallRefused, Keypair, Transfer
from ranvier.chain.calls import encode_call
from ranvier.chain.signed import LONGEST_LIFE, SignedCall, sign_call

COLD, RICH = (Keypair.create_from_uri(f"//{name}") for name in ("cold", "rich"))
PAY = Transfer(RICH.ss58_address, RAO)


async def post(chain: Any, body: bytes) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{chain.client.endpoint}/v1/calls", data=body) as response,
    ):
        return response.status, await response.json()


async def signed(chain: Any, *, life: int = 10, genesis: str | None = None) -> SignedCall:
    info = await chain.client.info()
    return sign_call(PAY, COLD, genesis or info.genesis, (await chain.client.block()).number + life)


async def test_a_replay_is_not_carried_out_again_even_after_a_restart(open_small: Any) -> None:
    async with open_small() as chain:
        call = await signed(chain)
        body = call.model_dump_json().encode()
        for _ in range(3):
            status, _ = await post(chain, body)
            assert status == 202
        await chain.client.advance()
        paid = await chain.client.balance(RICH.ss58_address)
        await post(chain, body)
        await chain.client.advance()
        assert await chain.client.balance(RICH.ss58_address) == paid == 101 * RAO
    async with open_small() as chain:
        await post(chain, body)
        await chain.client.advance()
        assert await chain.client.balance(RICH.ss58_address) == paid


async def test_a_second_signature_of_the_same_content_is_the_same_call(small: Any) -> None:
    call = await signed(small)
    genesis = (await small.client.info()).genesis
    again = call.model_copy(update={"signature": COLD.sign(call.payload(genesis)).hex()})
    assert again.signature != call.signature
    for each in (call, again):
        await post(small, each.model_dump_json().encode())
    await small.client.advance()
    assert await small.client.balance(RICH.ss58_address) == 101 * RAO


@pytest.mark.parametrize(
    "change",
    [
        {"signer": RICH.ss58_address},
        {"nonce": 1},
        {"valid_until": 11},
        {"call": encode_call(Transfer(RICH.ss58_address, 2 * RAO)).decode()},
        {"signature": "00" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_any_changed_part_breaks_the_proof(small: Any, change: dict[str, Any]) -> None:
    forged = (await signed(small)).model_copy(update=change)
    status, failure = await post(small, forged.model_dump_json().encode())
    assert (status, failure["name"]) == (409, "BadProof")


async def test_a_call_for_another_chain_is_refused(small: Any) -> None:
    call = await signed(small, genesis="0x" + "ab" * 32)
    assert (await post(small, call.model_dump_json().encode()))[1]["name"] == "BadProof"


async def test_a_call_outlives_neither_its_end_nor_the_longest_life(small: Any) -> None:
    call = await signed(small, life=2)
    await small.client.advance(2)
    assert (await post(small, call.model_dump_json().encode()))[1]["name"] == "AncientBirthBlock"
    long = await signed(small, life=LONGEST_LIFE + 1)
    assert (await post(small, long.model_dump_json().encode()))[1]["name"] == "MortalityTooLong"


@pytest.mark.parametrize("text", ['{"call":"Sudo"}', '{"call":"Transfer","to":"x","amount":1}', "[]", ""])
async def test_a_signed_call_that_is_no_call_is_named_malformed(small: Any, text: str) -> None:
    call = await signed(small)
    genesis = (await small.client.info()).genesis
    other = call.model_copy(update={"call": text})
    other = other.model_copy(update={"signature": COLD.sign(other.payload(genesis)).hex()})
    assert (await post(small, other.model_dump_json().encode()))[1]["name"] == "MalformedCall"


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{}", 400), (b"\xff\xfe", 400), (b" " * 300_000, 413)]
)
async def test_bodies_that_hold_no_call_are_refused(small: Any, body: bytes, status: int) -> None:
    assert (await post(small, body))[0] == status


async def test_one_signer_cannot_fill_the_pool(small: Any) -> None:
    with pytest.raises(CallRefused, match="ImmediatelyDropped"):
        for _ in range(100):
            await small.client.send(PAY, COLD)
    assert await small.client.send(Transfer(COLD.ss58_address, RAO), RICH)
