"""A subnet of sums: no engine, no torch, an answer is right or wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ranvier.protocol import Caller, Reply, Synapse
from ranvier.subnets import Answer, Cheat, Miner, Round, Subnet, SubnetSettings, Task, Verdict


class Sum(Synapse):
    left: int
    right: int

    class Reply(Reply):
        total: int


class Adder(Miner[Sum]):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        return Sum.Reply(total=request.left + request.right)


class Zero(Miner[Sum]):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        return Sum.Reply(total=0)


class Broken(Miner[Sum]):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        raise RuntimeError("out of order")


class Settings(SubnetSettings):
    deadline: float = 3.0
    penalty_rounds: int = 2


class SumSubnet(Subnet[Sum]):
    name = "sums"
    synapse = Sum
    miner = Adder
    Settings = Settings
    cheats: ClassVar = {"zero": Cheat(Zero, "free")}

    def tasks(self, round: Round) -> Iterable[Task[Sum]]:
        for peer in round.peers:
            dice = round.random(peer.hotkey)
            left, right = dice.randrange(1, 1000), dice.randrange(1, 1000)
            yield Task(peer, Sum(left=left, right=right), left + right)

    async def score(self, round: Round, answers: Sequence[Answer[Sum]]) -> Sequence[Verdict]:
        verdicts = []
        for answer in answers:
            right = answer.reply.total == answer.task.reference
            memory = self.context.memory
            seen = memory.get(answer.task.peer.hotkey, "seen") or 0
            memory.put(answer.task.peer.hotkey, "seen", seen + 1)
            verdicts.append(Verdict(1.0 if right else 0.0, "right" if right else "wrong sum"))
        return verdicts
