"""Large bodies of strangers: never more than there is room for, and the slowest is the one that goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol.arrivals import FREE, Arrival, Arrivals


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 400), st.integers(0, 20)), max_size=60))
def test_they_are_bounded_whoever_sends_what(steps: list[tuple[int, int, int]]) -> None:
    now, size, left = [0.0], {}, []
    arrivals = Arrivals(1000, lambda: now[0])
    bodies = [arrivals.begin(lambda number=number: left.append(number)) for number in range(10)]
    for number, count, wait in steps:
        now[0] += wait / 10
        size[number] = size.get(number, FREE) + count
        bodies[number].reached(size[number])
        counted = [each for each in bodies if each.counted and not each.given_way]
        assert arrivals.held == sum(each.counted for each in counted)
        assert arrivals.held <= 1000 or len(counted) == 1
    assert left == [*dict.fromkeys(left)]
    assert set(left) == {number for number, each in enumerate(bodies) if each.given_way}
    for each in bodies:
        with each:
            pass
    assert arrivals.held == 0


def test_who_left_bytes_lying_makes_way_for_who_sends() -> None:
    now, left = [0.0], []
    arrivals = Arrivals(1000, lambda: now[0])

    def body(name: str) -> Arrival:
        return arrivals.begin(lambda: left.append(name))

    lying, small, late = body("lying"), body("small"), body("late")
    lying.reached(FREE + 900)
    small.reached(FREE)
    now[0] = 5.0
    sending = body("sending")
    sending.reached(FREE + 500)
    assert left == ["lying"]
    now[0] = 5.2
    late.reached(FREE + 400)  # less than the other sent, but just now
    sending.reached(FREE + 510)
    assert (left, arrivals.held) == (["lying"], 910)
    late.reached(FREE + 500)
    assert left == ["lying", "sending"]
    lying.reached(FREE + 5000)  # what is still on its way of one that is out changes nothing
    assert (arrivals.held, left) == (500, ["lying", "sending"])


def test_one_alone_may_be_larger_than_all_room() -> None:
    arrivals = Arrivals(1000, lambda: 0.0)
    alone = arrivals.begin(lambda: None)
    alone.reached(FREE + 5000)
    assert (arrivals.held, alone.given_way) == (5000, False)
