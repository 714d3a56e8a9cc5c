"""The arithmetic is right, honest work pays, cheating does not."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import ClassVar

import pytest
from ranvier_example import Puzzle, PuzzleSettings, PuzzleSubnet
from ranvier_example.miner import numbers_of
from ranvier_example.numbers import BITS, derive, divide_out, factor, is_prime, proves

from ranvier.protocol import Answered, Target
from ranvier.subnets import Answer, Cheat, Context, Peer, Round, Task, Verdict
from ranvier.subnets.tournament import Player, Tournament, field_of
from ranvier.testing import Lab, Lie

ROUND = Round(1, 1, 1, "0xab", "validator", (), secret=b"s" * 32)


async def verdict(*factors: tuple[int, ...]) -> Verdict:
    """What an answer to a task of two numbers is worth."""
    peer = Peer(0, "miner", Target("miner", "127.0.0.1", 9))
    task = Task(peer, Puzzle(challenge="00" * 32, numbers=2))
    answer = Answer(task, Answered(peer.target, 0.1, Puzzle.Reply(factors=factors), 10))
    (found,) = await PuzzleSubnet(Context(1, "validator", PuzzleSettings())).score(ROUND, [answer])
    return found


def solutions() -> list[tuple[int, ...]]:
    return [
        factor(number) for number in numbers_of(Puzzle(challenge="00" * 32, numbers=2), "miner", "validator")
    ]


def test_primes_are_known_from_composites() -> None:
    below = [number for number in range(100) if is_prime(number)]
    assert below[:5] == [2, 3, 5, 7, 11]
    assert len(below) == 25
    assert is_prime(2**61 - 1)
    assert not any(map(is_prime, [561, 341550071728321, 3825123056546413051, (2**31 - 1) ** 2]))


@pytest.mark.parametrize(
    "number", [9, 15, 3**20, (2**31 - 1) ** 2, 4294967291 * 4294967279, 1009**6, 2**61 - 1]
)
def test_hard_shapes_are_factored(number: int) -> None:
    assert proves(number, factor(number))


def test_random_numbers_are_factored_and_have_their_size() -> None:
    numbers = derive(b"seed", 40)
    assert {number.bit_length() for number in numbers} == {BITS}
    assert all(proves(number, factor(number)) for number in numbers)
    assert math.prod(divide_out(numbers[0], 100)[0]) * divide_out(numbers[0], 100)[1] == numbers[0]


@pytest.mark.parametrize("factors", [(), (15,), (3,), (3, 5, 1), (3, 5, 7)])
def test_false_proofs_are_refused(factors: tuple[int, ...]) -> None:
    assert not proves(15, factors)


async def test_all_solved_is_worth_most_and_half_much_less() -> None:
    first, second = solutions()
    everything, half, nothing = (
        await verdict(first, second),
        await verdict(first, ()),
        await verdict((), ()),
    )
    assert everything.value is not None
    assert half.value == pytest.approx(everything.value / 8)
    assert nothing.value == 0


async def test_false_factors_are_a_proof_of_cheating_and_a_wrong_count_is_not() -> None:
    first, second = solutions()
    assert (await verdict(first, first)).caught
    assert (await verdict(first, (second[0] * second[1], *second[2:]))).caught or len(second) < 2
    short = await verdict(first)
    assert short.value == 0
    assert not short.caught


@pytest.mark.parametrize("seed", [0, 1])
async def test_honest_work_pays_and_every_cheat_does_not(seed: int) -> None:
    ranking = await Tournament(PuzzleSubnet, seed=seed).hold(rounds=20)
    assert ranking.violations() == []
    assert "false factors" in ranking.reasons["relay"]


def test_the_chain_pays_honest_work_best_and_a_miner_that_begins_to_lie_less() -> None:
    with Lab(PuzzleSubnet, honest=3, faults=[Lie(10, "honest-3", "constant")]) as lab:
        report = lab.run(20)
    report.honest_pay_best()
    assert report["honest-3"].pay < report["honest-1"].pay
    assert report["constant"].cpu < report["honest-1"].cpu


async def test_a_slower_honest_miner_still_earns_most_of_a_fast_ones_pay() -> None:
    players = [*field_of(PuzzleSubnet), Player("slow", PuzzleSubnet.miner, delay=0.3)]
    ranking = await Tournament(PuzzleSubnet, players).hold(rounds=12)
    assert ranking.violations() == []
    assert 0.5 * ranking.pay["honest-1"] < ranking.pay["slow"] < ranking.pay["honest-1"]


async def test_the_tournament_finds_what_speaks_against_a_subnet() -> None:
    class Generous(PuzzleSubnet):
        """Pays for anything."""

        cheats: ClassVar = {"constant": Cheat(PuzzleSubnet.cheats["constant"].miner, "free")}

        async def score(self, round, answers):
            return [Verdict(1.0, "thank you") for _ in answers]

    ranking = await Tournament(Generous).hold(rounds=3)
    assert ["constant earned" in line for line in ranking.violations()] == [True]


def test_the_package_needs_no_torch() -> None:
    code = "import sys, ranvier_example; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr
