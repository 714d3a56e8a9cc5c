"""What a subnet's owner may do by the rules of 2026: which settings, how far, how often and when; and its own place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ranvier.chain import CallRefused, Genesis, Keypair, Register, SetHyperparameter
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.owner_limits import owner_limits
from ranvier.chain.pruning import immortals_head
from ranvier.chain.rules import rules_of

TEMPO = 20
FREEZE = 5


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


@pytest.fixture
async def chain(make_genesis: Callable[..., Genesis]) -> AsyncIterator[EmbeddedChain]:
    """The owner's subnet has its first epoch in block 21 (the schedule starts at netuid mod tempo)."""
    given = {"era": "y2", "tempo": TEMPO, "owner_tempos": 2, "version_key_tempos": 5, "freeze_window": FREEZE}
    async with EmbeddedChain(make_genesis(**given)) as opened:
        yield opened


async def refused(chain: EmbeddedChain, call: Any, signer: str = "owner") -> str:
    with pytest.raises(CallRefused) as caught:
        await chain.carry_out(call, key(signer))
    return caught.value.name


def setting(name: str, value: int) -> SetHyperparameter:
    return SetHyperparameter(1, name, value)


async def reach(chain: EmbeddedChain, block: int) -> None:
    """So that the next call is in `block`."""
    await chain.advance(block - 1 - (await chain.block()).number)


async def test_one_setting_changes_once_in_two_tempos_and_the_version_key_once_in_five(
    chain: EmbeddedChain,
) -> None:
    await chain.carry_out(setting("immunity_period", 9), key("owner"))
    await chain.carry_out(setting("weights_version_key", 1), key("owner"))
    await chain.carry_out(setting("min_allowed_weights", 2), key("owner"))
    await reach(chain, 1 + 2 * TEMPO - 1)
    assert await refused(chain, setting("immunity_period", 8)) == "TxRateLimitExceeded"
    await reach(chain, 1 + 2 * TEMPO)
    await chain.carry_out(setting("immunity_period", 8), key("owner"))
    await reach(chain, 2 + 5 * TEMPO - 1)
    assert await refused(chain, setting("weights_version_key", 2)) == "TxRateLimitExceeded"
    await chain.carry_out(setting("weights_version_key", 2), key("owner"))


async def test_nothing_changes_in_the_blocks_before_an_epoch(chain: EmbeddedChain) -> None:
    due = 1 + TEMPO
    await reach(chain, due - FREEZE)
    await chain.carry_out(setting("immunity_period", 9), key("owner"))
    for _ in range(FREEZE - 1):
        wanted = setting("min_allowed_weights", 2)
        assert await refused(chain, wanted) == "AdminActionProhibitedDuringWeightsWindow"
    assert (await chain.block()).number == due - 1
    await chain.carry_out(setting("min_allowed_weights", 2), key("owner"))
    assert [epoch.block for epoch in await chain.epochs(1, 0)] == [due]


async def test_a_tempo_is_from_360_to_50400_and_starts_anew_when_it_changes(chain: EmbeddedChain) -> None:
    for tempo in (359, 50_401):
        assert await refused(chain, setting("tempo", tempo)) == "TempoOutOfBounds"
    changed = (await chain.carry_out(setting("tempo", 360), key("owner"))).block
    assert await refused(chain, setting("tempo", 400)) == "TxRateLimitExceeded"
    await chain.advance(changed + 359 - (await chain.block()).number)
    assert await chain.epochs(1, 0) == ()
    await chain.carry_out(setting("tempo", 400), key("owner"))
    assert [epoch.block for epoch in await chain.epochs(1, 0)] == [changed + 360]
    assert (await chain.hyperparameters(1)).tempo == 400


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("kappa", 1, "BadOrigin"),
        ("registration_allowed", 0, "BadOrigin"),
        ("weights_rate_limit", 1, "BadOrigin"),
        ("activity_cutoff_factor", 999, "ActivityCutoffFactorMilliOutOfBounds"),
        ("activity_cutoff_factor", 50_001, "ActivityCutoffFactorMilliOutOfBounds"),
        ("bonds_moving_average", 975_001, "BondsMovingAverageMaxReached"),
        ("burn_half_life", 0, "InvalidValue"),
        ("burn_increase_percent", 301, "InvalidValue"),
        ("immune_owner_uids_limit", 11, "InvalidValue"),
        ("max_allowed_uids", 63, "MaxAllowedUidsLessThanMinAllowedUids"),
        ("max_allowed_uids", 257, "MaxAllowedUidsGreaterThanDefaultMaxAllowedUids"),
        ("reveal_period", 0, "RevealPeriodTooSmall"),
        ("reveal_period", 101, "RevealPeriodTooLarge"),
        ("min_burn", 10**9, "ValueNotInBounds"),
        ("max_burn", 10**8, "ValueNotInBounds"),
        ("alpha_low", 40_000, "LiquidAlphaDisabled"),
    ],
)
async def test_what_an_owner_may_not_choose_has_the_chains_own_name(
    chain: EmbeddedChain, name: str, value: int, error: str
) -> None:
    assert await refused(chain, setting(name, value)) == error


async def test_the_lowest_price_stays_below_the_highest(chain: EmbeddedChain) -> None:
    await chain.carry_out(setting("max_burn", 200_000_000), key("owner"))
    assert await refused(chain, setting("min_burn", 200_000_000)) == "ValueNotInBounds"
    await chain.carry_out(setting("min_burn", 199_999_999), key("owner"))


@pytest.mark.parametrize("era", ["2024", "y2"])
def test_every_limit_is_of_a_setting_that_exists(era: str) -> None:
    assert owner_limits(era).keys() <= Hyperparameters.model_fields.keys()


def test_a_validator_is_silent_for_so_many_tempos() -> None:
    """13,889 thousandths of 360 blocks are the 5000 of 2024."""
    rules = rules_of("y2")
    assert (
        rules.activity_cutoff(Hyperparameters())
        == rules_of("2024").activity_cutoff(Hyperparameters())
        == 5000
    )
    assert rules.activity_cutoff(Hyperparameters(tempo=400, activity_cutoff_factor=1000)) == 400


def test_the_owners_oldest_hotkeys_never_give_way_and_the_named_one_comes_first() -> None:
    owned = [(7, 0), (3, 4), (3, 2), (9, 5)]
    assert immortals_head(owned, None, 1) == {2}
    assert immortals_head(owned, 2, 1) == {2}
    assert immortals_head(owned, 5, 1) == {5}
    assert immortals_head(owned, 5, 3) == {5, 2, 4}
    assert immortals_head([], None, 1) == frozenset()


async def test_where_no_neuron_may_give_way_nobody_comes(make_genesis: Callable[..., Genesis]) -> None:
    """At least so many past their immunity stay (10 on the real chain): with none immune nobody can go."""
    few = {"era": "y2", "tempo": 300, "max_allowed_uids": 5, "immunity_period": 3}
    async with EmbeddedChain(make_genesis(**few, min_non_immune_uids=4)) as chain:
        await chain.advance(3)
        await chain.carry_out(Register(1, address("one")), key("cold"))
        assert address("one") in {neuron.hotkey for neuron in (await chain.metagraph(1)).neurons}
    async with EmbeddedChain(make_genesis(**few, min_non_immune_uids=5)) as chain:
        await chain.advance(3)
        before = await chain.balance(address("cold"))
        assert await refused(chain, Register(1, address("one")), "cold") == "NoNeuronIdAvailable"
        assert await chain.balance(address("cold")) == before


@pytest.mark.parametrize(("era", "gives_way"), [("2024", True), ("y2", False)])
async def test_the_only_slot_of_a_subnet_is_its_owners_in_2026_only(
    make_genesis: Callable[..., Genesis], era: str, gives_way: bool
) -> None:
    born = make_genesis(era=era, tempo=300, max_allowed_uids=8)
    settings = born.subnets[0].hyperparameters.model_copy(update={"max_allowed_uids": 1})
    neurons = (born.subnets[0].neurons[0].model_copy(update={"coldkey": address("owner")}),)
    only = born.subnets[0].model_copy(update={"hyperparameters": settings, "neurons": neurons})
    async with EmbeddedChain(born.model_copy(update={"subnets": (only,)})) as chain:
        if gives_way:
            await chain.carry_out(Register(1, address("one")), key("cold"))
            assert [n.hotkey for n in (await chain.metagraph(1)).neurons] == [address("one")]
        else:
            assert await refused(chain, Register(1, address("one")), "cold") == "NoNeuronIdAvailable"
