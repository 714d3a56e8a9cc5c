"""What holds nobody up and is worth nothing is forgotten: a stake of nothing, and the block of an old staking."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ranvier.chain import AddStake, BecomeDelegate, CallRefused, Genesis, Keypair, RemoveStake
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.records import decode, encode, names, state_hash
from ranvier.chain.runtime import SWEEP
from ranvier.chain.state import ChainState


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def kept(state: ChainState) -> list[str]:
    """Records of who moved or holds stake that is not of the genesis; what is read back from all is the same state."""
    whole = {name: value for name, value in encode(state, names(state)).items() if value is not None}
    assert state_hash(decode(whole, state.ledger.existential_deposit)) == state_hash(state)
    rich = key("rich").ss58_address
    kinds = (name.partition("/")[0] for name in whole if name.endswith(f"/{rich}"))
    return [kind for kind in kinds if kind != "balance"]


async def test_a_stake_of_nothing_is_forgotten_and_its_pace_once_that_is_over(
    make_genesis: Callable[..., Genesis],
) -> None:
    hot = str(key("v0").ss58_address)
    async with EmbeddedChain(make_genesis(stake_interval=3)) as chain:
        await chain.carry_out(BecomeDelegate(hot, 6000), key("cold"))
        await chain.carry_out(AddStake(hot, 1000), key("rich"))
        assert await chain._node.read(kept) == ["moved", "stake"]
        await chain.advance(2)
        held = await chain._node.read(lambda s: s.ledger.stake_of(hot, key("rich").ss58_address))
        await chain.carry_out(RemoveStake(hot, held), key("rich"))
        assert await chain._node.read(kept) == ["moved"]
        with pytest.raises(CallRefused, match="StakeRateLimitExceeded"):
            await chain.carry_out(AddStake(hot, 1000), key("rich"))
        await chain.advance(SWEEP - 1 - (await chain.block()).number)
        assert await chain._node.read(kept) == ["moved"]
        await chain.advance(1)
        assert await chain._node.read(kept) == []
