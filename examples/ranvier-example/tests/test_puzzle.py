"""The puzzle withstands its cheats."""

from __future__ import annotations

import pytest
from ranvier_example import PuzzleMiner, PuzzleSettings, PuzzleSubnet
from ranvier_example.cheats import Constant, Easier

from ranvier.protocol import Answered, Caller, Target
from ranvier.subnets import Answer, Context, Peer, Round

VALIDATOR, MINER = "validator", "miner"


def context(hotkey: str) -> Context:
    return Context(netuid=1, hotkey=hotkey, settings=PuzzleSettings(count=2, bits=8))


def new_round(secret: bytes = b"s" * 32) -> Round:
    peer = Peer(5, MINER, Target(MINER, "127.0.0.1", 1))
    return Round(0, 1, 10, "0xabc", VALIDATOR, (peer,), secret=secret)


async def judged(miner: type, *, asked_as: str = MINER, caller: str = VALIDATOR) -> float | None:
    round_, subnet = new_round(), PuzzleSubnet(context(VALIDATOR))
    (task,) = subnet.tasks(round_)
    reply = await miner(context(asked_as)).answer(task.request, Caller(caller))
    (verdict,) = await subnet.score(round_, [Answer(task, Answered(task.peer.target, 0.1, reply, 100))])
    return verdict.value


async def test_honest_work_is_paid() -> None:
    assert await judged(PuzzleMiner) == pytest.approx(0.8)


@pytest.mark.parametrize("cheat", [Constant, Easier])
async def test_cheats_earn_nothing(cheat: type) -> None:
    assert await judged(cheat) == 0


async def test_a_relayed_answer_is_worthless() -> None:
    assert await judged(PuzzleMiner, asked_as="somebody else", caller=MINER) == 0


def test_tasks_follow_from_the_secret_alone() -> None:
    subnet = PuzzleSubnet(context(VALIDATOR))
    first, again = (tuple(subnet.tasks(new_round())) for _ in range(2))
    assert first == again
    assert first != tuple(subnet.tasks(new_round(b"t" * 32)))
