"""The text subnet's tasks: seeded, private to each miner, rich, and with right expectations."""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta

import pytest

from ranvier.subnets import Context
from ranvier.subnets.text import TextSettings, TextSubnet
from ranvier.subnets.text.families import FAMILIES, compose


def tasks(round_, **settings):
    return list(TextSubnet(Context(1, "validator", TextSettings(**settings))).tasks(round_))


def test_every_miner_gets_prompts_and_challenges_of_its_own(round_of) -> None:
    names = [f"miner-{number}" for number in range(20)]
    made = tasks(round_of(*names), tasks_per_miner=3)
    assert [task.peer.hotkey for task in made] == [name for name in names for _ in range(3)]
    assert len({task.request.challenge for task in made}) == 60
    assert len({task.request.prompt for task in made}) > 55


def test_tasks_hang_on_the_secret_and_on_nothing_else(round_of) -> None:
    first, again = tasks(round_of("a")), tasks(round_of("a"))
    other = tasks(round_of("a", secret=b"t" * 32))
    assert first[0].request == again[0].request
    assert other[0].request.challenge != first[0].request.challenge


def test_what_is_expected_stays_with_the_validator(round_of) -> None:
    for task in tasks(round_of(*map(str, range(40)))):
        assert set(type(task.request).model_fields) & {"expected", "family", "reference"} == set()
        assert "reference" not in repr(task)


def test_prompts_are_too_many_to_store() -> None:
    rng = random.Random(5)
    drawn = [compose(rng).text for _ in range(3000)]
    assert len(set(drawn)) > 2950


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.__name__.strip("_"))
def test_each_family_is_seeded_and_fits_the_request(family) -> None:
    first, again, other = (family(random.Random(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.text != other.text
    assert 20 < len(first.text) < 400


def test_expected_sums_are_right() -> None:
    for seed in range(200):
        prompt = next(one for family in FAMILIES if (one := family(random.Random(seed))).family == "sum")
        has, receives, gives = map(int, re.findall(r"\d+", prompt.text))
        assert prompt.expected == str(has + receives - gives)
        assert int(prompt.expected) > 0


def test_expected_dates_are_right() -> None:
    for seed in range(200):
        prompt = next(one for family in FAMILIES if (one := family(random.Random(seed))).family == "date")
        found = re.search(r"Today is (\d+ \w+ \d+)\..* (\d+) days", prompt.text)
        assert found is not None
        later = datetime.strptime(found[1], "%d %B %Y") + timedelta(days=int(found[2]))
        assert prompt.expected == f"{later.day} {later:%B}"


def test_expected_rooms_are_the_right_ones() -> None:
    for seed in range(200):
        prompt = next(one for family in FAMILIES if (one := family(random.Random(seed))).family == "extract")
        rooms = dict(re.findall(r"(\w+) left .*? in room (\d+)", prompt.text))
        asked = re.search(r"what (\w+) left", prompt.text)
        assert asked is not None
        assert prompt.expected == rooms[asked[1]]


def test_expected_orders_are_sorted() -> None:
    prompt = next(one for family in FAMILIES if (one := family(random.Random(3))).family == "sort")
    numbers = list(map(int, str(prompt.expected).split(", ")))
    assert numbers == sorted(numbers)
    assert all(str(number) in prompt.text for number in numbers)
