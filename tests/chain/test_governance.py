"""A committee proposes, the senate votes, the chain carries it out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ranvier.chain import (
    AddStake,
    CallRefused,
    CloseMotion,
    DissolveSubnet,
    Genesis,
    Keypair,
    Propose,
    RootRegister,
    SetHyperparameter,
    SetNetworkParameter,
    Vote,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.governance import senate, threshold
from ranvier.chain.records import decode
from ranvier.chain.root import Seat

TEMPO = SetHyperparameter(1, "tempo", 77)


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


@pytest.fixture
async def chain(make_genesis: Callable[..., Genesis]) -> AsyncIterator[EmbeddedChain]:
    genesis = make_genesis(tempo=300, senate_seats=3, motion_life=10, most_motions=2)
    committee = (address("committee-1"), address("committee-2"))
    async with EmbeddedChain(genesis.model_copy(update={"committee": committee})) as chain:
        for name in ("v0", "v1", "v2", "m0"):
            await chain.carry_out(RootRegister(address(name)), key("cold"))
        yield chain


async def refused(chain: EmbeddedChain, call: Any, signer: str) -> str:
    with pytest.raises(CallRefused) as caught:
        await chain.carry_out(call, key(signer))
    return caught.value.name


async def vote(chain: EmbeddedChain, motion: int, *names: str, approve: bool = True) -> None:
    for name in names:
        await chain.carry_out(Vote(motion, address(name), approve), key("cold"))


async def told(chain: EmbeddedChain) -> list[str]:
    names = ("Proposed", "Voted", "MotionClosed", "MotionExecuted", "MotionFailed")
    return [event.name for event in await chain.events(0) if event.name in names]


def test_the_senate_is_roots_largest() -> None:
    stakes = {"a": 5, "b": 9, "c": 5, "d": 1}
    assert senate([Seat(name, 0) for name in "abcd"], stakes.__getitem__, 3) == ("b", "a", "c")
    assert [threshold(n) for n in (1, 2, 3, 4, 12)] == [1, 2, 2, 3, 7]


async def test_a_motion_that_most_senators_want_is_carried_out(chain: EmbeddedChain) -> None:
    assert await refused(chain, Propose(TEMPO), "cold") == "NotMember"
    await chain.carry_out(Propose(TEMPO), key("committee-1"))
    assert await refused(chain, Propose(TEMPO), "committee-2") == "DuplicateProposal"
    await vote(chain, 0, "v0")
    assert await refused(chain, CloseMotion(0), "committee-1") == "TooEarlyToCloseProposal"
    assert await refused(chain, Vote(0, address("v0"), True), "cold") == "DuplicateVote"
    assert await refused(chain, Vote(0, address("m0"), True), "cold") == "NotSenateMember"
    assert await refused(chain, Vote(0, address("v1"), True), "rich") == "NonAssociatedColdKey"
    await vote(chain, 0, "v1")
    assert await refused(chain, CloseMotion(0), "rich") == "NotMember"
    await chain.carry_out(CloseMotion(0), key("cold"))
    assert (await chain.hyperparameters(1)).tempo == 77, "which no owner may change"
    assert (await told(chain))[-2:] == ["MotionClosed", "MotionExecuted"]
    assert await refused(chain, CloseMotion(0), "cold") == "ProposalMissing"


async def test_a_motion_is_lost_by_votes_or_by_time(chain: EmbeddedChain) -> None:
    await chain.carry_out(Propose(TEMPO), key("committee-1"))
    await vote(chain, 0, "v0")
    await vote(chain, 0, "v0", "v1", approve=False)
    await chain.carry_out(CloseMotion(0), key("committee-2"))
    await chain.carry_out(Propose(TEMPO), key("committee-1"))
    await chain.advance(11)
    assert await refused(chain, Vote(1, address("v0"), True), "cold") == "VotingPeriodEnded"
    await chain.carry_out(CloseMotion(1), key("committee-1"))
    assert (await chain.hyperparameters(1)).tempo == 300
    assert "MotionExecuted" not in await told(chain)


async def test_votes_count_while_their_senators_sit(chain: EmbeddedChain) -> None:
    await chain.carry_out(Propose(TEMPO), key("committee-1"))
    await vote(chain, 0, "v1", "v2")
    await chain.carry_out(AddStake(address("m0"), 40 * 10**9), key("cold"))  # now above v2
    assert await refused(chain, CloseMotion(0), "committee-1") == "TooEarlyToCloseProposal"
    await vote(chain, 0, "m0")
    await chain.carry_out(CloseMotion(0), key("committee-1"))
    assert (await chain.hyperparameters(1)).tempo == 77


async def test_the_whole_chain_is_set_by_motion_only_and_failures_are_told(chain: EmbeddedChain) -> None:
    assert await refused(chain, SetNetworkParameter("max_take", 9), "committee-1") == "BadOrigin"
    await chain.carry_out(Propose(SetNetworkParameter("max_take", 9000)), key("committee-1"))
    await chain.carry_out(Propose(SetNetworkParameter("senate_seats", 0)), key("committee-1"))
    assert await refused(chain, Propose(DissolveSubnet(1)), "committee-1") == "TooManyProposals"
    await vote(chain, 0, "v0", "v1")
    await vote(chain, 1, "v0", "v1")
    await chain.carry_out(CloseMotion(0), key("committee-1"))
    await chain.carry_out(CloseMotion(1), key("committee-1"))
    parameters = await chain._node.read(lambda state: state.network.parameters)
    assert (parameters.max_take, parameters.senate_seats) == (9000, 3)
    assert (await told(chain))[-1] == "MotionFailed"
    await chain.carry_out(Propose(DissolveSubnet(1)), key("committee-1"))
    await vote(chain, 2, "v0", "v2")
    await chain.carry_out(CloseMotion(2), key("committee-1"))
    assert await chain.subnets() == ()


async def test_open_motions_are_whole_after_a_restart(chain: EmbeddedChain) -> None:
    await chain.carry_out(Propose(TEMPO), key("committee-1"))
    await vote(chain, 0, "v0")
    await vote(chain, 0, "v1", approve=False)
    made = await chain._node.checkpoint()
    kept = decode(made.records, 0)
    assert kept.governance == await chain._node.read(lambda state: state.governance)
    assert (kept.governance.motions[0].ayes, kept.governance.motions[0].nays) == (
        [address("v0")],
        [address("v1")],
    )
