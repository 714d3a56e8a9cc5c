"""A subnet's settings and era choose the form of Yuma that its epochs run."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ranvier.chain import (
    CommitWeights,
    Hyperparameters,
    Keypair,
    Register,
    RevealWeights,
    SetWeights,
    commit_hash,
)

SALT = (1, 2, 3, 4)


def address(name: str) -> str:
    return str(Keypair.create_from_uri(f"//{name}").ss58_address)


async def bonds_of(open_small: Any, **settings: Any) -> Any:
    """Bonds after two epochs in which the three validators moved from one miner to another."""
    folder = "-".join(f"{name}{value}" for name, value in settings.items())
    async with open_small(folder=folder, **settings) as chain:
        for values in ((65535, 30000), (30000, 65535)):
            for name in ("v0", "v1", "v2"):
                assert await chain.submit(SetWeights(1, (3, 4), values), name) is None
            await chain.client.advance(5)
        return await chain.client.bonds(1)


async def test_every_form_can_be_switched_on(open_small: Any) -> None:
    forms = (
        {"era": "2024"},
        {"era": "2024", "liquid_alpha": True},
        {"era": "y2"},
        {"era": "y2", "liquid_alpha": True},
        {"era": "y2", "liquid_alpha": True, "alpha_low": 1638, "alpha_high": 65535},
        {"era": "y2", "liquid_alpha": True, "alpha_low": 1638, "alpha_sigmoid_steepness": 0},
    )
    found = [await bonds_of(open_small, **form) for form in forms]
    assert [bonds for number, bonds in enumerate(found) if bonds in found[:number]] == []


async def test_yuma_3_is_on_for_new_subnets_of_2026_and_unknown_to_2024(open_small: Any) -> None:
    on, off = [await bonds_of(open_small, era="y2", yuma3=value) for value in (True, False)]
    default = await bonds_of(open_small, era="y2")
    assert default == on != off
    assert await bonds_of(open_small, era="2024", yuma3=True) == await bonds_of(
        open_small, era="2024", yuma3=False
    )
    original_has_no_liquid_alpha = await bonds_of(open_small, era="y2", yuma3=False, liquid_alpha=True)
    assert original_has_no_liquid_alpha == off


def test_a_genesis_keeps_the_eras_limits_of_liquid_alpha(make_genesis: Any) -> None:
    with pytest.raises(ValidationError, match=r"AlphaHighTooLow: .* alpha_high is at least 52428"):
        make_genesis(era="2024", liquid_alpha=True, alpha_low=1638, alpha_high=50000)
    make_genesis(era="y2", liquid_alpha=True, alpha_low=1638, alpha_high=50000)
    make_genesis(era="2024", alpha_low=1638, alpha_high=50000)
    with pytest.raises(ValidationError, match="alpha_low 50001 is above alpha_high 50000"):
        Hyperparameters(alpha_low=50001, alpha_high=50000)


def promise(values: tuple[int, ...]) -> CommitWeights:
    return CommitWeights(1, commit_hash(address("v0"), 1, (3, 4), values, SALT))


@pytest.mark.parametrize(
    ("era", "open_promise", "reached"), [("y2", True, False), ("y2", False, True), ("2024", True, True)]
)
async def test_a_newcomer_gets_no_weight_that_was_promised_to_its_predecessor(
    open_small: Any, era: str, open_promise: bool, reached: bool
) -> None:
    """v0 promises weights for the miners, of whom one is replaced; a later promise makes them look recent.

    While another promise from before is open, the rules of 2026 drop what v0 says about the newcomer.
    """
    settings = {"era": era, "tempo": 12, "commit_reveal": True, "max_allowed_uids": 5, "immunity_period": 0}
    async with open_small(**settings) as chain:
        await chain.client.advance(13)
        assert await chain.submit(promise((40001, 65535)), "v0") is None
        if open_promise:
            assert await chain.submit(promise((40002, 65535)), "v0") is None
        assert await chain.submit(Register(1, address("new")), "cold") is None
        newcomer = (await chain.client.metagraph(1)).by_hotkey(address("new")).uid
        assert newcomer in (3, 4)
        assert await chain.submit(promise((40003, 65535)), "v0") is None
        (first, *_) = await chain.client.commits(1, address("v0"))
        head = (await chain.client.block()).number
        await chain.client.advance(first.first_reveal - head - 1)
        assert await chain.submit(RevealWeights(1, (3, 4), (40001, 65535), SALT), "v0") is None
        await chain.client.advance(13)
        assert ((await chain.client.metagraph(1)).neurons[newcomer].consensus > 0) is reached
