"""What only the Subtensor back end does: the chain's catalogue, forgotten states, the shield, how long calls live."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

pytest.importorskip("bittensor")

from bittensor import calls, storage

from ranvier.chain import (
    Ability,
    CallRefused,
    ChainError,
    Keypair,
    Register,
    SetWeights,
    Transfer,
    WalletError,
    connect,
)
from ranvier.chain.calls import CALL_TYPES
from ranvier.chain.subtensor import SubtensorChain
from ranvier.chain.subtensor.decode import GLOBAL_SETTINGS, SETTINGS
from ranvier.chain.subtensor.plans import sample_plans

pytestmark = pytest.mark.subtensor
READ = (
    "Bonds",
    "BlocksSinceLastStep",
    "LastEpochBlock",
    "NetworkRegisteredAt",
    "NetworksAdded",
    "PendingEpochAt",
    "SubnetEpochIndex",
    "SubnetOwner",
    "SubnetworkN",
    "TimelockedWeightCommits",
    "TotalHotkeyAlpha",
    "TotalIssuance",
    "WeightCommits",
    "Weights",
)


@pytest.fixture
def back_end() -> str:
    return "subtensor"


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


@pytest.mark.parametrize("kind", CALL_TYPES, ids=lambda kind: kind.__name__)
def test_every_plan_is_a_call_of_the_real_chain_with_its_parameters(kind: Any) -> None:
    """The SDK carries the catalogue of the runtime that it was generated from."""
    for plan in sample_plans(kind):
        builder = getattr(getattr(calls, plan.module), plan.function)
        assert list(inspect.signature(builder).parameters) == list(plan.params) or set(
            inspect.signature(builder).parameters
        ) == set(plan.params), plan.name


@pytest.mark.parametrize("item", sorted({*SETTINGS.values(), *GLOBAL_SETTINGS.values(), *READ}))
def test_every_storage_item_is_one_of_the_real_chain(item: str) -> None:
    assert tuple(getattr(storage.SubtensorModule, item)) == ("SubtensorModule", item)


def test_endpoints_are_taken_without_a_word_being_sent() -> None:
    for name in ("finney", "test", "archive", "devnet", "ws://127.0.0.1:9944", "wss://node.example:443"):
        chain = connect(name)
        assert isinstance(chain, SubtensorChain)
        assert chain.endpoint == name


async def test_blocks_whose_state_is_forgotten_still_come_with_their_time(contract: Any) -> None:
    """An ordinary node keeps states for an hour; a follower that was away longer must not hang there."""
    await contract.until(12)
    await contract.client.block()
    contract.opened[0].states_kept = 2
    seen = []
    async for block in contract.client.blocks(1):
        seen.append(block)
        if len(seen) == 8:
            break
    assert [block.number for block in seen] == list(range(2, 10))
    theirs = {}
    async for block in contract.behind.blocks(1):
        theirs[block.number] = block
        if block.number == 9:
            break
    assert [block.hash for block in seen] == [theirs[block.number].hash for block in seen]
    assert all(abs(block.timestamp - theirs[block.number].timestamp) < 0.002 for block in seen)


@pytest.mark.parametrize(("deadline", "life"), [(1.0, 32), (3.0, 128), (30.0, 1024)])
async def test_a_call_lives_little_longer_than_its_sender_waits(
    contract: Any, deadline: float, life: int
) -> None:
    """With blocks of 0.05 s; with 12 s and the usual 30 s it lives 16 blocks."""
    await contract.client.block()  # connecting is not part of the deadline that is looked at
    with pytest.raises(CallRefused):
        await contract.submit(SetWeights(1, (3, 3), (1, 1)), "v0", deadline=deadline)
    (options,) = contract.opened[0].options
    assert options["period"] == life
    assert options["wait_for_inclusion"]


async def test_registrations_are_encrypted_where_the_chain_has_a_shield(contract: Any) -> None:
    """No storage of newer runtimes is needed for it: the SDK's own intent asks for `CollateralLockShare`."""
    found = await contract.client.supports(Register)
    assert (found.ability, found.detail) == (Ability.WORKS, "SubtensorModule.burned_register")
    contract.opened[0].shielded = True
    found = await contract.client.supports(Register)
    assert (found.ability, found.detail) == (Ability.WORKS, "SubtensorModule.burned_register, encrypted")
    receipt = await contract.submit(Register(1, str(key("new").ss58_address)), "rich")
    neuron = (await contract.behind.metagraph(1)).by_hotkey(str(key("new").ss58_address))
    assert neuron.registered_at == receipt.block
    assert contract.opened[0].submitted == ["submit_encrypted"]
    with pytest.raises(CallRefused) as caught:
        await contract.submit(Register(1, str(key("new").ss58_address)), "rich")
    assert (caught.value.name, caught.value.call) == ("HotKeyAlreadyRegisteredInSubNet", "Register")
    await contract.submit(Transfer(str(key("cold").ss58_address), 1), "rich")
    assert contract.opened[0].submitted[-1] == "transfer_keep_alive"


async def test_a_chain_that_offers_nothing_for_a_call_is_no_refusal(contract: Any) -> None:
    """Nothing was sent, and the name of what is missing is said."""
    await contract.client.block()
    contract.opened[0].missing = frozenset({"set_weights", "set_mechanism_weights"})
    with pytest.raises(ChainError, match="offers none of") as caught:
        await contract.submit(SetWeights(1, (3,), (1,)), "v0")
    assert not isinstance(caught.value, CallRefused)
    support = await contract.client.supports(SetWeights)
    assert not support
    assert "set_weights" in support.detail


async def test_a_signer_that_fails_is_not_taken_for_the_chain(contract: Any) -> None:
    class Lost:
        ss58_address = str(key("v0").ss58_address)

        def sign(self, data: bytes) -> bytes:
            raise WalletError("the key is gone")

    with pytest.raises(ChainError) as caught:
        await contract.client.submit(SetWeights(1, (3,), (1,)), Lost())
    assert not isinstance(caught.value, CallRefused)
