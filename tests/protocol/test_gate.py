"""The gate's promises, whatever callers do: bounds, no free turn while somebody may take it, turns in turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.protocol import Caller, Limits, Refusal
from ranvier.protocol.gate import Gate, RateLimit
from ranvier.testing.loop import SimulatedLoop

TAO = 10**9
NAMES = "abcd"
STAKES = {"a": 10**6 * TAO, "b": 1000 * TAO, "c": 1, "d": 0}

steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from(NAMES)),
        st.tuples(st.sampled_from(["end", "give up"]), st.integers(0, 30)),
    ),
    max_size=60,
)


@dataclass
class Story:
    """Callers at a gate, step by step. ``log`` holds who came and who started, in order."""

    gate: Gate
    limits: Limits
    log: list[tuple[str, str, int]] = field(default_factory=list)
    running: list[tuple[int, str, asyncio.Event]] = field(default_factory=list)
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    callers: dict[int, str] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)

    async def _take(self, number: int, name: str) -> None:
        go = asyncio.Event()
        try:
            async with self.gate.turn(Caller(name, stake=STAKES[name])):
                self.log.append(("start", name, number))
                self.running.append((number, name, go))
                await go.wait()
        except Refusal as refusal:
            assert refusal.retry_after is not None
            self.refused.append(number)
        finally:
            self.running = [each for each in self.running if each[0] != number]

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def do(self, step: tuple[str, Any]) -> None:
        kind, which = step
        if kind == "come":
            number = len(self.tasks)
            self.callers[number] = which
            self.log.append(("come", which, number))
            self.tasks[number] = asyncio.create_task(self._take(number, which))
        elif kind == "end" and self.running:
            self.running[which % len(self.running)][2].set()
        elif kind == "give up" and (alive := [task for task in self.tasks.values() if not task.done()]):
            alive[which % len(alive)].cancel()
        await self.settle()

    def check(self) -> None:
        held = Counter(name for _, name, _ in self.running)
        most = self.limits.max_concurrent
        assert len(self.running) == self.gate.running <= most
        assert all(count <= most - most // 4 for count in held.values())
        assert self.gate.waiting <= self.limits.max_queue
        here = Counter(self.callers[number] for number, task in self.tasks.items() if not task.done())
        assert all(count <= self.limits.max_per_caller for count in here.values())
        assert here.total() == self.gate.running + self.gate.waiting
        waiting = here - held
        if self.gate.running < most:
            assert all(held[name] >= self.gate.share(name) >= most / 2 for name in waiting)

    async def over_with(self, names: str) -> None:
        """Let the requests of these end."""
        for _, name, go in self.running:
            if name in names:
                go.set()
        await self.settle()

    async def over(self) -> None:
        while self.running:
            for _, _, go in self.running:
                go.set()
            await self.settle()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        gate = self.gate
        assert (gate.running, gate.waiting) == (0, 0)
        assert not gate._of_caller
        assert not gate._held
        assert not gate._due
        await gate.idle()


def told(limits: Limits, steps: list[tuple[str, Any]]) -> Story:
    async def run() -> Story:
        story = Story(Gate(limits), limits)
        for step in steps:
            await story.do(step)
            story.check()
        await story.over()
        return story

    return asyncio.run(run())


@settings(max_examples=150)
@given(steps, st.integers(1, 6), st.integers(0, 6), st.integers(1, 9))
def test_bounds_hold_and_no_turn_is_lost(steps: list[Any], most: int, queue: int, each: int) -> None:
    story = told(Limits(max_concurrent=most, max_queue=queue, max_per_caller=each), steps)
    started = {number for kind, _, number in story.log if kind == "start"}
    assert not started & set(story.refused)


@settings(max_examples=300)
@given(steps, st.integers(1, 5))
def test_who_had_no_turn_waits_for_one_of_each_other_at_most(steps: list[Any], most: int) -> None:
    """Whatever others do meanwhile: leave and come again, give up, have any number of requests here."""
    story = told(Limits(max_concurrent=most), steps)
    first = {story.callers[number]: number for number in reversed(story.callers)}
    for name, number in first.items():
        if ("start", name, number) not in story.log:
            continue
        waited = story.log[story.log.index(("come", name, number)) : story.log.index(("start", name, number))]
        turns = Counter(who for kind, who, _ in waited if kind == "start" and who != name)
        assert all(count == 1 for count in turns.values()), (name, turns, story.log)


def test_two_who_come_again_and_again_do_not_starve_a_third() -> None:
    steps = [("come", "a"), ("come", "b"), ("come", "d")]
    for name in "abababab":
        steps += [("end", 0), ("come", name)]
    story = told(Limits(max_concurrent=1), steps)
    assert [name for kind, name, _ in story.log if kind == "start"][:4] == ["a", "b", "d", "a"]


async def test_keys_without_end_are_not_kept() -> None:
    """The door lets all of them in, the gate is never empty, and nobody has a second turn."""
    gate, stay = Gate(Limits(max_concurrent=4)), asyncio.Event()

    async def remain() -> None:
        async with gate.turn(Caller("one that stays")):
            await stay.wait()

    task = asyncio.create_task(remain())
    await asyncio.sleep(0)
    for number in range(10_000):
        async with gate.turn(Caller(f"{number}")):
            pass
    assert len(gate._due) <= 4096
    assert len(gate._lately) <= 4097
    stay.set()
    await task
    assert not gate._due


def test_who_floods_gets_no_more_than_its_weight_beside_one_who_floods_too() -> None:
    """Both always have requests waiting: the one with all the stake gets at most twice the turns of the other."""
    story = told(Limits(max_concurrent=1), [("come", name) for name in "ad" * 30] + [("end", 0)] * 60)
    first = Counter(name for kind, name, _ in story.log if kind == "start")
    assert first == {"a": 30, "d": 30}
    turns = [name for kind, name, _ in story.log if kind == "start"][:30]
    assert 19 <= turns.count("a") <= 21


def test_a_full_queue_turns_away_the_flood_and_not_the_others() -> None:
    limits = Limits(max_concurrent=2, max_queue=8)
    story = told(limits, [("come", "a")] * 30 + [("come", "d"), ("come", "c"), ("come", "b")])
    assert {story.callers[number] for number in story.refused} == {"a"}


@given(st.integers(1, 64))
def test_one_caller_alone_gets_three_quarters_and_the_next_one_a_free_turn(most: int) -> None:
    story_steps = [("come", "a")] * most + [("come", "d")]

    async def run() -> tuple[int, bool]:
        limits = Limits(max_concurrent=most, max_per_caller=100)
        story = Story(Gate(limits), limits)
        for step in story_steps:
            await story.do(step)
        held = Counter(name for _, name, _ in story.running)
        await story.over()
        return held["a"], bool(held["d"])

    held, free = asyncio.run(run())
    assert held == most - most // 4
    assert free == (most >= 4)


def test_a_turn_is_kept_free_for_each_who_came_lately_up_to_half() -> None:
    """Ten seconds later, one caller gets three quarters again."""

    async def run() -> list[int]:
        limits, held = Limits(max_concurrent=8, max_per_caller=100), []
        story = Story(Gate(limits), limits)
        for others in ("", "b", "bc", "bcd", "bcd"):
            for name in others:
                await story.do(("come", name))
            await story.over_with(others)
            for _ in range(8):
                await story.do(("come", "a"))
            story.check()
            held.append(Counter(name for _, name, _ in story.running)["a"])
            await story.over()
            await asyncio.sleep(0 if others == "bcd" else 11.0)
        return held

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        assert runner.run(run()) == [6, 6, 6, 5, 5]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3), st.booleans()), max_size=60),
    st.floats(0.1, 5),
    st.integers(1, 5),
)
def test_a_look_tells_what_taking_would_and_changes_nothing(
    calls: list[tuple[str, float, bool]], rate: float, burst: int
) -> None:
    looked, plain = (RateLimit(Limits(rate=rate, burst=burst)) for _ in range(2))
    now = 0.0
    for name, later, look in calls:
        now += later
        seen = _code(looked.look, name, now) if look else None
        taken, same = _code(looked.take, name, now), _code(plain.take, name, now)
        assert taken == same
        assert not look or seen == taken
    assert looked._buckets == plain._buckets


def _code(call: Any, name: str, now: float) -> float | None:
    try:
        call(name, now)
    except Refusal as refusal:
        return refusal.retry_after
    return None
