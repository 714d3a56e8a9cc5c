"""One vector an epoch, whatever fails: the journal, the row, the chain's refusals, and the example."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from neurons_world import until

from ranvier.chain import CallRefused, ChainTimeout, Metagraph, Neuron
from ranvier.neurons.errors import BadWeights, CorruptState, NotJournalled, NotRegistered, StateInUse
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Form, IntentStatus, Journal, Slot
from ranvier.neurons.vectors import WeightRow, WeightVector, quantise
from ranvier.neurons.weights import Landing, WeightSetter

EXAMPLE = Path(__file__).parents[2] / "examples" / "weight_setter_alone.py"
SLOT = Slot("local", 1, 12, "me")
VECTORS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(0, 1e9), max_size=8)


def neuron(uid: int, hotkey: str, registered_at: int = 0) -> Neuron:
    return Neuron(uid, hotkey, "cold", 0, True, False, 0, registered_at, *([0] * 7), None)


def metagraph(*neurons: Neuron) -> Metagraph:
    return Metagraph(1, "test", 20, "0x", 12, 12, neurons)


@given(VECTORS)
def test_a_row_is_u16_with_a_full_largest_entry_or_an_error(weights: dict[str, float]) -> None:
    if not any(weights.values()):
        with pytest.raises(BadWeights):
            quantise(weights)
        return
    row = quantise(weights)
    assert max(row.values()) == 65535
    assert all(0 < value <= 65535 for value in row.values())
    best = max(weights, key=weights.__getitem__)
    assert row[best] == 65535


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1])
def test_what_is_no_weight_never_becomes_a_row(bad: float) -> None:
    with pytest.raises(BadWeights):
        quantise({"a": 1.0, "b": bad})


NO_VECTORS = st.dictionaries(st.sampled_from("abc"), st.one_of(st.integers(-3, 70000), st.just(65535)))


@given(NO_VECTORS)
def test_only_what_a_chain_may_see_is_a_vector(values: dict[str, int]) -> None:
    fits = values and max(values.values()) == 65535 and all(0 < value <= 65535 for value in values.values())
    if fits:
        assert WeightVector(values).values == values
    else:
        with pytest.raises(BadWeights):
            WeightVector(values)


@pytest.mark.parametrize("value", [1.0, math.nan, "1", None])
def test_what_is_no_whole_number_is_no_weight(value: Any) -> None:
    with pytest.raises(BadWeights):
        WeightVector({"a": 65535, "b": value})


@given(st.lists(st.tuples(st.integers(-1, 70000), st.integers(-1, 70000)), max_size=4))
def test_only_what_a_call_may_hold_is_a_row(entries: list[tuple[int, int]]) -> None:
    uids = [uid for uid, _ in entries]
    fits = entries and uids == sorted(set(uids)) and uids[0] >= 0 and uids[-1] <= 65535
    if fits and all(0 < value <= 65535 for _, value in entries):
        row = WeightRow(tuple(entries))
        assert len(row.uids) == len(row.values) == len(entries)
    else:
        with pytest.raises(BadWeights):
            WeightRow(tuple(entries))


def test_a_vector_cannot_be_changed() -> None:
    given = {"a": 65535}
    vector = WeightVector(given)
    given["b"] = 1
    assert vector.values == {"a": 65535}
    with pytest.raises(TypeError):
        vector.values["a"] = 1  # type: ignore[index]


def test_a_replaced_or_moved_hotkey_gets_nothing() -> None:
    graph = metagraph(neuron(0, "a"), neuron(1, "b", 15), neuron(2, "c"))
    places = {"a": (0, 0), "b": (1, 0), "c": (3, 0), "gone": (1, 0)}
    weights = {"a": 1.0, "b": 1.0, "c": 1.0, "gone": 1.0}
    vector = WeightVector.of(weights, graph, places)
    assert vector.values == {"a": 65535}
    # New ones have no place to lose.
    assert WeightVector.of({**weights, "c": 2.0}, graph, {}).row(graph).entries == (
        (0, 32768),
        (1, 32768),
        (2, 65535),
    )
    # Between the vector and its sending "a" was replaced and came back elsewhere.
    later = metagraph(neuron(0, "new", 30), neuron(1, "b", 15), neuron(2, "c"), neuron(3, "a", 31))
    with pytest.raises(BadWeights, match="nobody"):
        vector.row(later)


def test_rounding_by_the_chain_is_the_same_row_and_nothing_else_is() -> None:
    row = WeightRow.of({0: 65535, 1: 100})
    assert row.is_stored({0: 65535, 1: 101, 2: 0})
    assert not row.is_stored({0: 65535})
    assert not WeightRow.of({0: 65535}).is_stored({0: 65535, 1: 1})
    # The chain scales a row whose best hotkey has left.
    assert WeightRow.of({1: 100, 2: 50}).is_stored({1: 65535, 2: 32768})


def test_a_second_vector_of_an_epoch_needs_proof_that_the_first_did_not_land(tmp_path: Path) -> None:
    with Database(tmp_path / "j.sqlite") as database:
        journal = Journal(database)
        first = intend(journal, SLOT, "a", 13)
        assert intend(journal, SLOT, "a", 14) == first
        with pytest.raises(NotJournalled):
            intend(journal, SLOT, "b", 14)
        journal.note(first, 14, "unknown", "timed out")
        assert not journal.may_be_refused(first)
        journal.note(first, 14, "refused", "it was", IntentStatus.REFUSED)
        assert intend(journal, SLOT, "b", 15).vector.values == {"b": 65535}
        other = Slot("local", 1, 24, "me")
        assert intend(journal, other, "c", 25).status is IntentStatus.INTENDED


def intend(journal: Journal, slot: Slot, hotkey: str, block: int) -> Any:
    return journal.intend(slot, WeightVector({hotkey: 65535}), block, Form.OPEN, None)


def test_the_file_is_locked_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with Database(path), pytest.raises(StateInUse):
        Database(path)
    with Database(path) as database:
        database.remember("a", "b")
    damaged = bytearray(path.read_bytes())
    damaged[0:16] = b"not a data base!"
    path.write_bytes(damaged)
    with pytest.raises(CorruptState, match=r"j\.sqlite"):
        Database(path)


class Faulty:
    """A chain client whose next submissions fail; ``lands`` says whether the call is carried out all the same."""

    def __init__(self, inner: Any, failures: list[tuple[Exception, bool]]) -> None:
        self._inner, self.failures, self.sent = inner, failures, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def submit(self, call: Any, signer: Any, **options: Any) -> Any:
        self.sent.append(call)
        if not self.failures:
            return await self._inner.submit(call, signer, **options)
        error, lands = self.failures.pop(0)
        if lands:
            await self._inner.submit(call, signer, **options)
        raise error


async def test_set_lands_once_and_then_says_so(world: Any) -> None:
    key = world.key("v0")
    weights = {world.key("m0").ss58_address: 3.0, world.key("m1").ss58_address: 1.0, key.ss58_address: 0.0}
    async with world.chain() as real:
        await until(lambda: fresh_epoch(real))
        chain = Faulty(real, [])
        with WeightSetter(chain, key, 1, world.folder / "j.sqlite") as setter:
            first = await setter.set(weights)
            again = await setter.set({world.key("m2").ss58_address: 1.0})
        row = (await real.weights(1))[0]
    assert (first.landing, again.landing) == (Landing.LANDED, Landing.ALREADY)
    assert again.weights == first.weights
    assert row == {2: 65535, 3: 21845}
    assert len(chain.sent) == 1


async def fresh_epoch(chain: Any) -> bool:
    """Just after an epoch's step, so that it does not end while a test looks."""
    graph = await chain.metagraph(1)
    return graph.last_step > 0 and graph.block - graph.last_step <= 3


@pytest.mark.parametrize("lands", [True, False])
async def test_a_call_of_unknown_fate_is_looked_up_and_only_repeated_unchanged(
    world: Any, lands: bool
) -> None:
    key, weights = world.key("v0"), {world.key("m0").ss58_address: 1.0}
    async with world.chain() as real:
        await until(lambda: fresh_epoch(real))
        chain = Faulty(real, [(ChainTimeout("SetWeights", 30.0), lands)])
        with WeightSetter(chain, key, 1, world.folder / "j.sqlite") as setter:
            outcome = await setter.set(weights)
    assert outcome.landed
    assert len(chain.sent) == (1 if lands else 2)
    assert len({call.values for call in chain.sent}) == 1


async def test_refusals_for_now_are_retried_and_lasting_ones_free_the_epoch(world: Any) -> None:
    key, weights = world.key("v0"), {world.key("m0").ss58_address: 1.0}
    other = {world.key("m1").ss58_address: 1.0}
    async with world.chain() as real:
        await until(lambda: fresh_epoch(real))
        failures = [
            (CallRefused("SettingWeightsTooFast", "wait", "SetWeights"), False),
            (CallRefused("MaxWeightExceeded", "too much", "SetWeights"), False),
        ]
        chain = Faulty(real, failures)
        with WeightSetter(chain, key, 1, world.folder / "j.sqlite") as setter:
            refused = await setter.set(weights)
            landed = await setter.set(other)
    assert (refused.landing, refused.attempts) == (Landing.REFUSED, 2)
    assert landed.landed
    assert set(landed.weights) == set(other)


async def test_it_gives_up_when_the_epoch_ends(new_world: Callable[..., Any]) -> None:
    world = new_world(weights_rate_limit=1000)
    key, weights = world.key("v0"), {world.key("m0").ss58_address: 1.0}
    async with world.chain() as chain:
        with WeightSetter(chain, key, 1, world.folder / "j.sqlite") as setter:
            outcomes = [await setter.set(weights)]
            await until(lambda: later_epoch(chain, outcomes[0].epoch))
            outcomes.append(await setter.set(weights))
    assert outcomes[-1].landing is Landing.EPOCH_ENDED
    assert "SettingWeightsTooFast" in outcomes[-1].detail


async def later_epoch(chain: Any, epoch: int) -> bool:
    return (await chain.metagraph(1)).last_step > epoch


async def test_a_stranger_sets_nothing(world: Any) -> None:
    async with world.chain() as chain:
        with (
            WeightSetter(chain, world.key("stranger"), 1, world.folder / "j.sqlite") as setter,
            pytest.raises(NotRegistered),
        ):
            await setter.set({"x": 1.0})


def test_the_example_runs(world: Any) -> None:
    arguments = [world.endpoint, "1", str(world.wallets), "owner", "v1", str(world.folder / "alone.sqlite")]
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "landed after" in done.stdout
