"""Nonces: the sender's grow whatever its clock does; the receiver takes each once, in bounded memory, over restarts."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol import Axon, Code, Door, NonceClock, Refusal, ReplayGuard, keypair_from_uri
from ranvier.protocol.btauth import MAX_AGE_NS, MAX_SKEW_NS
from ranvier.protocol.nonces import RESERVE_NS, RETENTION_NS

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000

times = st.integers(0, 2**63)
# (caller, what the clock says since NOW, how old the nonce is then)
arrivals = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(-30, 60).map(lambda seconds: seconds * SECOND // 2),
        st.sampled_from([-MAX_SKEW_NS, -1, 0, 1, SECOND, MAX_AGE_NS]),
    ),
    max_size=40,
)


def verdict(guard: ReplayGuard, hotkey: str, nonce: int, now: int) -> Code | None:
    try:
        guard.accept(hotkey, nonce, now)
    except Refusal as refusal:
        return refusal.code
    return None


@given(st.lists(times, min_size=1, max_size=50))
def test_nonces_strictly_grow_whatever_the_clock_does(readings: list[int]) -> None:
    clock: Iterator[int] = iter(readings)
    nonces = NonceClock(lambda: next(clock))
    made = [nonces.next() for _ in readings]
    assert all(before < after for before, after in itertools.pairwise(made))
    assert all(nonce >= reading for nonce, reading in zip(made, readings, strict=True))


@given(arrivals)
def test_each_pair_is_accepted_once_whatever_the_clock_does(arrivals: list[tuple[str, int, int]]) -> None:
    guard = ReplayGuard()
    taken: set[tuple[str, int]] = set()
    for hotkey, since, age in arrivals:
        now = NOW + since
        pair = (hotkey, now - age)
        if verdict(guard, *pair, now) is None:
            assert pair not in taken
            taken.add(pair)


@given(arrivals, st.integers(0, 40))
def test_no_pair_is_accepted_again_after_a_restart(
    arrivals: list[tuple[str, int, int]], restart: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ceiling"
        guard = ReplayGuard(path)
        taken: set[tuple[str, int]] = set()
        for place, (hotkey, since, age) in enumerate(arrivals):
            if place == restart:
                guard = ReplayGuard(path)
            now = NOW + since
            pair = (hotkey, now - age)
            if verdict(guard, *pair, now) is None:
                assert pair not in taken
                taken.add(pair)


@given(st.lists(st.integers(0, MAX_AGE_NS), unique=True, max_size=30))
def test_fresh_pairs_are_accepted_in_any_order(ages: list[int]) -> None:
    guard = ReplayGuard()
    assert [verdict(guard, "a", NOW - age, NOW) for age in ages] == [None] * len(ages)
    assert len(guard) == len(ages)


def test_memory_is_bounded_and_a_full_one_refuses() -> None:
    guard = ReplayGuard(capacity=3)
    assert [verdict(guard, "a", NOW + n, NOW) for n in range(5)] == [None, None, None, Code.BUSY, Code.BUSY]
    assert len(guard) == 3
    # A replay is named as one even then.
    assert verdict(guard, "a", NOW, NOW) is Code.REPLAYED


def test_what_is_stale_anyway_is_forgotten_and_stays_refused() -> None:
    guard = ReplayGuard()
    guard.accept("a", NOW, NOW)
    later = NOW + RETENTION_NS + 1
    guard.accept("a", later, later)
    assert len(guard) == 1
    # The clock steps back to where the first nonce would be fresh.
    assert verdict(guard, "a", NOW, NOW) is Code.REPLAYED


def test_a_nonce_from_the_future_is_kept_until_it_is_stale() -> None:
    guard = ReplayGuard()
    nonce = NOW + MAX_SKEW_NS
    guard.accept("a", nonce, NOW)
    assert verdict(guard, "a", nonce, nonce + MAX_AGE_NS) is Code.REPLAYED


def test_a_restart_waits_for_the_ceiling_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "ceiling"
    ReplayGuard(path).accept("a", NOW, NOW)
    guard = ReplayGuard(path)
    assert verdict(guard, "b", NOW + RESERVE_NS, NOW + RESERVE_NS) is Code.REPLAYED
    assert verdict(guard, "b", NOW + RESERVE_NS + 1, NOW + RESERVE_NS) is None
    assert [one.name for one in tmp_path.iterdir()] == ["ceiling"]


def test_the_ceiling_is_written_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(Path, "replace", lambda self, _: written.append(self.name))
    guard = ReplayGuard(tmp_path / "ceiling")
    for n in range(100):
        guard.accept("a", NOW + n * SECOND // 10, NOW)
    assert len(written) == 2


def test_nothing_is_accepted_that_a_restart_could_not_know_of(tmp_path: Path) -> None:
    """The disk is full, or gone: the next request must not pass on a ceiling that was never written."""
    path = tmp_path / "gone" / "ceiling"
    guard = ReplayGuard(path)
    assert [verdict(guard, "a", NOW + n, NOW) for n in range(3)] == [Code.BUSY] * 3
    assert len(guard) == 0
    path.parent.mkdir()
    assert verdict(guard, "a", NOW, NOW) is None
    assert verdict(ReplayGuard(path), "a", NOW, NOW) is Code.REPLAYED


def test_an_axon_without_a_file_takes_nothing_from_before_it_started() -> None:
    clock = [NOW]
    axon = Axon(keypair_from_uri("//Bob"), door=Door.open(), now=lambda: clock[0])
    clock[0] += SECOND
    guard = axon._service._replay
    assert verdict(guard, "a", NOW - 1, clock[0]) is Code.REPLAYED
    assert verdict(guard, "a", NOW, clock[0]) is None
