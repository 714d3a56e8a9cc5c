"""Rules 1 and 2: seeds nobody can predict, committed before and checked after; noise bound to both hotkeys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.subnets import EpochSecret, NotCommitted, bound_seed, check_revealed

CHALLENGE = b"c" * 32


def test_a_revealed_secret_is_checked_against_its_commitment() -> None:
    secret = EpochSecret.draw(720)
    check_revealed(720, secret.secret, secret.commitment)
    with pytest.raises(NotCommitted, match="721"):
        check_revealed(721, secret.secret, secret.commitment)
    with pytest.raises(NotCommitted):
        check_revealed(720, bytes(32), secret.commitment)


def test_secrets_are_fresh_and_do_not_show_in_logs() -> None:
    first, second = EpochSecret.draw(1), EpochSecret.draw(1)
    assert first.secret != second.secret
    assert first.commitment != second.commitment
    assert first.secret.hex() not in repr(first)
    assert repr(first.secret) not in repr(first)


def test_a_round_does_not_show_its_secret(round_of) -> None:
    assert "ssss" not in repr(round_of("a"))


@pytest.mark.parametrize(
    "change", [{"secret": b"t" * 32}, {"number": 2}, {"block_hash": "0xcd"}], ids=lambda one: next(iter(one))
)
def test_the_seed_hangs_on_secret_round_and_block(round_of, change) -> None:
    assert round_of("a").seed("a") != round_of("a", **change).seed("a")


def test_the_seed_hangs_on_miner_number_and_purpose(round_of) -> None:
    seeds = {round_of("a").seed(*which) for which in [("a",), ("b",), ("a", 1), ("a", 0, "audit")]}
    assert len(seeds) == 4
    assert all(len(seed) == 32 for seed in seeds)


def test_tasks_of_the_subnet_differ_for_every_miner(subnet, round_of) -> None:
    tasks = list(subnet.tasks(round_of(*(f"miner-{number}" for number in range(8)))))
    assert len({task.request.number for task in tasks}) > 6


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_the_bound_seed_names_exactly_one_pair(miner, caller, other_miner, other_caller) -> None:
    same = (miner, caller) == (other_miner, other_caller)
    if "\0" in miner + other_miner:
        return  # ss58 addresses have none
    assert (bound_seed(CHALLENGE, miner, caller) == bound_seed(CHALLENGE, other_miner, other_caller)) is same


def test_a_relayed_challenge_gives_other_noise() -> None:
    honest = bound_seed(CHALLENGE, "honest", "relay")
    assert honest != bound_seed(CHALLENGE, "relay", "validator")
    assert honest != bound_seed(CHALLENGE, "honest", "validator")
