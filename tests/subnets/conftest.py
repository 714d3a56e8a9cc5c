"""A tiny subnet and its pieces, for tests of the rules that bind every subnet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest

from ranvier.protocol import Answered, Caller, Outcome, Reply, Synapse, Target
from ranvier.subnets import Answer, Context, Miner, Peer, Round, Subnet, SubnetSettings, Task, Verdict


class Double(Synapse):
    number: int

    class Reply(Reply):
        twice: int


class Doubler(Miner[Double]):
    async def answer(self, request: Double, caller: Caller) -> Double.Reply:
        return Double.Reply(twice=2 * request.number)


class DoubleSubnet(Subnet[Double]):
    """Right is 1, wrong is 0; a negative answer breaks the scorer; ``broken`` raises what it holds."""

    name = "double"
    synapse = Double
    miner = Doubler
    broken: Exception | None = None

    def tasks(self, round: Round) -> Iterable[Task[Double]]:
        for peer in round.peers:
            number = round.random(peer.hotkey).randrange(1000)
            yield Task(peer, Double(number=number), 2 * number)

    async def score(self, round: Round, answers: Sequence[Answer[Double]]) -> Sequence[Verdict]:
        if self.broken is not None:
            raise self.broken
        return [self._judge(answer) for answer in answers]

    def _judge(self, answer: Answer[Double]) -> Verdict:
        if answer.reply.twice < 0:
            raise ArithmeticError("negative")
        return Verdict(float(answer.reply.twice == answer.task.reference), "looked at")


def _peer(name: str, uid: int = 0) -> Peer:
    return Peer(uid, name, Target(name, "127.0.0.1", 9))


@pytest.fixture
def subnet() -> DoubleSubnet:
    return DoubleSubnet(Context(1, "validator", SubnetSettings()))


@pytest.fixture
def round_of() -> Callable[..., Round]:
    def make(*names: str, secret: bytes = b"s" * 32, number: int = 1, block_hash: str = "0xab") -> Round:
        peers = tuple(_peer(name, uid) for uid, name in enumerate(names))
        return Round(number, 1, 7, block_hash, "validator", peers, secret=secret)

    return make


@pytest.fixture
def outcome_of() -> Callable[..., Outcome[Double.Reply]]:
    def make(name: str, twice: int = 2, elapsed: float = 0.1) -> Outcome[Double.Reply]:
        return Answered(_peer(name).target, elapsed, Double.Reply(twice=twice), 20)

    return make


@pytest.fixture
def answer_of(outcome_of: Callable[..., Answered[Double.Reply]]) -> Callable[..., Answer[Double]]:
    def make(name: str, twice: int = 2, elapsed: float = 0.1) -> Answer[Double]:
        """The right answer is 2."""
        return Answer(Task(_peer(name), Double(number=1), 2), outcome_of(name, twice, elapsed))

    return make
