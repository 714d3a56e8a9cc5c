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
from ranvier.neurons.state.journal import Journal, Slot, VectorStatus
from ranvier.neurons.vectors import as_row, quantise, same_row, still_there
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


def test_a_replaced_or_moved_hotkey_gets_nothing() -> None:
    graph = metagraph(neuron(0, "a"), neuron(1, "b", 15), neuron(2, "c"))
    places = {"a": (0, 0), "b": (1, 0), "c": (3, 0), "gone": (1, 0)}
    assert still_there({"a": 1.0, "b": 1.0, "c": 1.0, "gone": 1.0, "new": 1.0}, graph, places) == {"a": 1.0}
    assert as_row({"c": 5, "a": 7, "gone": 9}, graph) == {0: 7, 2: 5}


def test_rounding_by_the_chain_is_the_same_row_and_nothing_else_is() -> None:
    assert same_row({0: 65535, 1: 100}, {0: 65535, 1: 101, 2: 0})
    assert not same_row({0: 65535, 1: 100}, {0: 65535})
    assert not same_row({0: 65535}, {0: 65535, 1: 1})


def test_a_second_vector_of_an_epoch_needs_proof_that_the_first_did_not_land(tmp_path: Path) -> None:
    with Database(tmp_path / "j.sqlite") as database:
        journal = Journal(database)
        first = journal.intend(SLOT, {"a": 65535}, 13)
        assert journal.intend(SLOT, {"a": 65535}, 14) == first
        with pytest.raises(NotJournalled):
            journal.intend(SLOT, {"b": 65535}, 14)
        journal.note(first, 14, "unknown", "timed out")
        assert not journal.may_be_refused(first)
        journal.note(first, 14, "refused", "it was", VectorStatus.REFUSED)
        assert journal.intend(SLOT, {"b": 65535}, 15).weights == {"b": 65535}
        other = Slot("local", 1, 24, "me")
        assert journal.intend(other, {"c": 65535}, 25).status is VectorStatus.INTENDED


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
