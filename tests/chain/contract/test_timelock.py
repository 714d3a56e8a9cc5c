"""Locked weights: sealed by the SDK's own function for the epoch in which the chain looks for them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("bittensor")

from ranvier.chain import CommitTimelocked, Keypair
from ranvier.chain.subtensor.plans import plans_for
from ranvier.chain.subtensor.timelock import seal

OWN = str(Keypair.create_from_uri("//v0").ss58_address)
CALL = CommitTimelocked(3, (0, 5), (65535, 7), 2)
DRAND_GENESIS, DRAND_PERIOD = 1692803367, 3
SECONDS = 12.0


@dataclass
class Schedule:
    """The storage that sealing reads, of a chain at block ``number``."""

    number: int
    storage: dict[str, int]

    async def block_number(self) -> int:
        return self.number

    async def block_hash(self, block: int) -> str:
        return "0xaa"

    async def block_time(self) -> float:
        return SECONDS

    async def query(self, module: str, item: str, params: Any, block_hash: str) -> int:
        assert (module, params, block_hash) == ("SubtensorModule", [3], "0xaa")
        if item not in self.storage:
            raise ValueError(f"Storage function {module}.{item} not found")
        return self.storage[item]


def blocks_ahead(opened_by: int) -> float:
    """Blocks from now to the pulse of a round."""
    return (DRAND_GENESIS + opened_by * DRAND_PERIOD - time.time()) / SECONDS


async def test_a_runtime_of_2026_names_its_epochs() -> None:
    storage = {
        "Tempo": 100,
        "RevealPeriodEpochs": 1,
        "BlocksSinceLastStep": 30,
        "LastEpochBlock": 970,
        "PendingEpochAt": 0,
        "SubnetEpochIndex": 9,
    }
    sealed = await seal(Schedule(1000, storage), CALL, OWN)
    # The epoch at 1070 closes this one; what was promised in it is looked for before the epoch of 1170.
    assert 60 < blocks_ahead(sealed.round) < 175
    assert len(sealed.ciphertext) > 100
    mechanism, plain = plans_for(CALL, sealed)
    assert mechanism.function == "commit_timelocked_mechanism_weights"
    assert plain.params == {
        "netuid": 3, "commit": sealed.ciphertext, "reveal_round": sealed.round, "commit_reveal_version": 4
    }  # fmt: skip


async def test_an_older_runtime_is_counted_by_its_formula() -> None:
    storage = {"Tempo": 99, "RevealPeriodEpochs": 1, "BlocksSinceLastStep": 30}
    sealed = await seal(Schedule(1026, storage), CALL, OWN)
    # Epochs end where (block + 4) mod 100 is 99: at 1095 and 1195.
    assert 60 < blocks_ahead(sealed.round) < 175


@pytest.mark.parametrize("period", [1, 2])
@pytest.mark.parametrize("number", [1026, 1095, 1096, 5_000_359])
async def test_an_older_runtimes_first_block_of_revelation_is_hit(number: int, period: int) -> None:
    """Its own formula, and the three blocks that the SDK adds to be sure of the pulse."""
    storage = {"Tempo": 99, "RevealPeriodEpochs": period, "BlocksSinceLastStep": 30}
    sealed = await seal(Schedule(number, storage), CALL, OWN)
    included = number + 1
    first = ((included + 4) // 100 + period) * 100 - 4
    assert abs(blocks_ahead(sealed.round) - (first - number + 3)) < 1.0


async def test_another_seal_looks_different() -> None:
    storage = {"Tempo": 99, "RevealPeriodEpochs": 1, "BlocksSinceLastStep": 30}
    first, second = [await seal(Schedule(1026, storage), CALL, OWN) for _ in range(2)]
    assert first.ciphertext != second.ciphertext
