"""Clients in turn: nobody waits for more than one turn of each other, and a full queue costs who filled it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines.turns import Place, Turns
from ranvier.engines.worker import Full


def serve(turns: Turns, places: list[Place]) -> list[str]:
    """Let all go, one after the other; whose turn it was."""
    went = []
    while places:
        place = next(one for one in places if turns.may(one))
        places.remove(place)
        turns.leave(place)
        turns.went(place.client)
        went.append(place.client)
    return went


def test_one_who_floods_and_one_who_does_not_take_turns() -> None:
    turns = Turns(100)
    places = [turns.join("flood") for _ in range(6)] + [turns.join("other") for _ in range(3)]
    assert "".join(one[0] for one in serve(turns, places)) == "fofofofff"


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40))
def test_nobody_waits_for_more_than_one_turn_of_each_other_client(clients: list[str]) -> None:
    turns = Turns(100)
    went = serve(turns, [turns.join(one) for one in clients])
    assert Counter(went) == Counter(clients)
    for client in set(clients):
        mine = [number for number, one in enumerate(went) if one == client]
        for before, after in zip([-1, *mine], mine, strict=False):
            between = Counter(went[before + 1 : after])
            assert all(count <= 1 for count in between.values()), (client, went)


@given(st.lists(st.sampled_from("aaab"), max_size=60), st.integers(1, 8))
def test_a_full_queue_sheds_who_has_most_in_it(clients: list[str], most: int) -> None:
    turns, kept = Turns(most), list[Place]()
    for client in clients:
        held = Counter(one.client for one in kept)
        try:
            kept.append(turns.join(client))
        except Full:
            assert held[client] + 1 >= max(held.values()), "the one who comes had most"
        kept = [one for one in kept if not one.shed]
        assert len(kept) == len(turns) <= most


async def test_who_is_shed_while_it_waits_is_told() -> None:
    turns = Turns(2)
    turns.join("flood")
    last = turns.join("flood")
    turns.join("other")
    with pytest.raises(Full):
        await last.called(5.0)


def test_a_picky_one_holds_nobody_up() -> None:
    turns = Turns(4)
    picky, patient = turns.join("a", picky=True), turns.join("b")
    assert turns.may(picky)
    assert turns.may(patient)
    assert not turns.may(None), "who has just come waits behind the patient one"


def test_clients_that_come_once_are_forgotten() -> None:
    turns = Turns(4)
    for number in range(5000):
        turns.went(str(number))
        if number % 500 == 0:
            turns.went("regular")
    assert len(turns._latest) <= 1024
