"""Families of prompts, composed offline from a seeded generator; some have an answer that can be checked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt; ``expected`` must occur in a correct answer (None: nothing to check)."""

    family: str
    text: str
    expected: str | None = None


NAMES: Final = (
    "Mara",
    "Tobias",
    "Ines",
    "Okello",
    "Hana",
    "Piet",
    "Lucia",
    "Ravi",
    "Selma",
    "Jonas",
    "Aylin",
    "Bo",
)
PLACES: Final = (
    "a lighthouse",
    "a night train",
    "a bakery",
    "an old library",
    "a greenhouse",
    "a fishing port",
    "a mountain hut",
    "a repair shop",
    "a flooded valley",
    "an observatory",
)
THINGS: Final = (
    "a brass key",
    "a letter without a sender",
    "a broken compass",
    "an umbrella",
    "a jar of honey",
    "a map with one road missing",
    "a violin",
    "a lantern",
    "a basket of pears",
    "a red bicycle",
)
MOODS: Final = ("calm", "funny", "melancholic", "tense", "hopeful", "dry", "dreamy")
TOPICS: Final = (
    "how bread rises",
    "why the sky changes colour at dusk",
    "how a lock works",
    "why leaves fall",
    "how tides form",
    "how a bicycle stays upright",
    "why ice floats",
    "how echoes arise",
    "how compost is made",
    "why cats purr",
    "how glass is blown",
)
AUDIENCES: Final = ("a curious child", "a tired engineer", "a visiting chef", "a class of twelve", "a poet")
FORMS: Final = (
    "in three sentences",
    "as a short dialogue",
    "as a list of four points",
    "as a letter",
    "with one example",
)


def _story(rng: random.Random) -> Prompt:
    return Prompt(
        "story",
        f"Write the beginning of a {rng.choice(MOODS)} story. {rng.choice(NAMES)} finds {rng.choice(THINGS)} in "
        f"{rng.choice(PLACES)} on day {rng.randint(2, 300)} of a journey.",
    )


def _explain(rng: random.Random) -> Prompt:
    return Prompt(
        "explain",
        f"Explain {rng.choice(TOPICS)} to {rng.choice(AUDIENCES)} {rng.choice(FORMS)}; mention {rng.choice(THINGS)}.",
    )


def _dialogue(rng: random.Random) -> Prompt:
    first, second = rng.sample(NAMES, 2)
    return Prompt(
        "dialogue",
        f"Write a {rng.choice(MOODS)} conversation between {first} and {second} about {rng.choice(TOPICS)}; "
        f"it takes place in {rng.choice(PLACES)}.",
    )


def _plan(rng: random.Random) -> Prompt:
    return Prompt(
        "plan",
        f"Plan an afternoon for {rng.randint(2, 9)} people in {rng.choice(PLACES)} with {rng.randint(20, 90)} coins, "
        f"{rng.choice(FORMS)}. {rng.choice(NAMES)} must be back by {rng.randint(4, 9)} o'clock.",
    )


def _sum(rng: random.Random) -> Prompt:
    first, second, third = (rng.randint(11, 97) for _ in range(3))
    return Prompt(
        "sum",
        f"{rng.choice(NAMES)} has {first} pears, receives {second} and gives away {third % first}. How many are left? "
        "Explain the steps in full sentences.",
        str(first + second - third % first),
    )


def _day(rng: random.Random) -> Prompt:
    start = date(2024, 1, 1) + timedelta(days=rng.randint(0, 900))
    later = rng.randint(3, 40)
    return Prompt(
        "date",
        f"Today is {start:%d %B %Y}. Which date is it {later} days later? Tell it as part of a message to "
        f"{rng.choice(NAMES)}.",
        f"{start + timedelta(days=later):%d %B}".lstrip("0"),
    )


def _sort(rng: random.Random) -> Prompt:
    numbers = rng.sample(range(10, 99), 5)
    return Prompt(
        "sort",
        f"Sort these numbers from small to large and comment on each: {', '.join(map(str, numbers))}.",
        ", ".join(map(str, sorted(numbers))),
    )


def _extract(rng: random.Random) -> Prompt:
    people = rng.sample(NAMES, 3)
    rooms = rng.sample(range(100, 999), 3)
    asked = rng.randrange(3)
    things = rng.sample(THINGS, 3)
    notes = " ".join(
        f"{name} left {thing} in room {room}."
        for name, thing, room in zip(people, things, rooms, strict=True)
    )
    return Prompt(
        "extract",
        f"{notes} In which room is what {people[asked]} left? Answer in a polite note to {rng.choice(NAMES)}.",
        str(rooms[asked]),
    )


def _summary(rng: random.Random) -> Prompt:
    first, second = rng.sample(NAMES, 2)
    thing, place = rng.choice(THINGS), rng.choice(PLACES)
    return Prompt(
        "summary",
        f"On day {rng.randint(2, 300)}, {first} and {second} met in {place}. They had argued about "
        f"{rng.choice(TOPICS)}, lost {thing}, and found it again after {rng.randint(2, 50)} hours. Summarise this "
        f"{rng.choice(FORMS)}, in a {rng.choice(MOODS)} tone, and name {first}.",
        first,
    )


FAMILIES: Final[tuple[Callable[[random.Random], Prompt], ...]] = (
    _story,
    _explain,
    _dialogue,
    _plan,
    _sum,
    _day,
    _sort,
    _extract,
    _summary,
)


def compose(rng: random.Random) -> Prompt:
    """One prompt of a random family."""
    return rng.choice(FAMILIES)(rng)
