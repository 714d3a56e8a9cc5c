"""More subnets, more miners and more stake make each one's part smaller, by exactly what the rules say."""

from __future__ import annotations

from typing import Any

import pytest
from bittensor_core import encode_ss58

from ranvier.chain.birth import first_state
from ranvier.chain.calls import CreateSubnet, Register, SetWeights, StartCall
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.models import EpochRow
from ranvier.chain.network import NetworkParameters
from ranvier.chain.pool import Waiting
from ranvier.chain.presets import local_hyperparameters
from ranvier.chain.runtime import next_block
from ranvier.chain.state import ChainState

TAO = 10**9
TEMPO = 5
ERAS = ("2024", "y2")
COLD = str(encode_ss58(bytes([1]) * 32, 42))


def hot(number: int) -> str:
    return str(encode_ss58(bytes([2]) + number.to_bytes(4, "big") + bytes(27), 42))


def validators(stakes: list[int]) -> list[GenesisNeuron]:
    return [
        GenesisNeuron(hotkey=hot(1000 + uid), coldkey=COLD, stake=stake * TAO)
        for uid, stake in enumerate(stakes)
    ]


def chain(era: Any, neurons: list[GenesisNeuron], subnets: int = 1, owner: str | None = None) -> Genesis:
    settings = local_hyperparameters(TEMPO, weights_rate_limit=0, min_burn=1, burn=1)
    first = GenesisSubnet(name="1", hyperparameters=settings, neurons=tuple(neurons), owner=owner)
    others = [GenesisSubnet(name=str(n), hyperparameters=settings) for n in range(2, subnets + 1)]
    return Genesis(
        era=era,
        clock="manual",
        new_subnet=settings,
        network=NetworkParameters(subnet_interval=0, lock_minimum=TAO),
        balances={COLD: 1000 * TAO},
        subnets=(first, *others),
    )


class Run:
    """A chain whose blocks are made here, and the rows of its newest epoch on subnet 1."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis, self.state = genesis, first_state(genesis)
        self.rows: tuple[EpochRow, ...] = ()
        self._count = 0

    def block(self, *calls: tuple[str, Any]) -> ChainState:
        waiting = []
        for signer, call in calls:
            self._count += 1
            waiting.append(Waiting(f"0x{self._count:064x}", signer, 10**6, call))
        commit = next_block(self.state, self.genesis, 1.0, waiting)
        assert [outcome.error for outcome in commit.outcomes] == [None] * len(calls)
        for record in commit.epochs:
            if record.netuid == 1:
                self.rows = record.rows
        return self.state

    def gained(self) -> dict[int, int]:
        """Rao that a block puts aside for each subnet, of the next block in which it has no epoch."""
        found: dict[int, int] = {}
        while len(found) < len(self.state.subnets):
            before = {netuid: subnet.pending for netuid, subnet in self.state.subnets.items()}
            for netuid, subnet in self.block().subnets.items():
                if subnet.last_step != self.state.head.number:
                    found.setdefault(netuid, subnet.pending - before[netuid])
        return found

    def settled(self) -> dict[int, EpochRow]:
        """The rows of the second epoch from now, when calls of now have told; with a whole tempo's emission."""
        for _ in range(2 * TEMPO + 2):
            self.block()
        return {row.uid: row for row in self.rows}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 32])
def test_equal_subnets_divide_a_block_evenly(era: str, count: int) -> None:
    gained = Run(chain(era, [], subnets=count)).gained()
    assert sum(gained.values()) == TAO
    assert set(list(gained.values())[1:]) <= {TAO // count}
    assert gained[1] == TAO // count + TAO % count


@pytest.mark.parametrize("era", ERAS)
def test_a_subnet_that_is_founded_takes_its_part_of_every_other(era: str) -> None:
    run = Run(chain(era, validators([1]), subnets=2))
    assert set(run.gained().values()) == {TAO // 2}
    run.block((COLD, CreateSubnet(hot(1), "third")))
    if era == "y2":
        assert sorted(run.gained()) == [1, 2, 3]
        assert run.gained()[3] == 0, "its owner has to start it"
        run.block((COLD, StartCall(3)))
    gained = run.gained()
    assert sorted(gained) == [1, 2, 3]
    owner_cut = TAO // 3 - gained[3]
    assert gained[2] == TAO // 3
    assert owner_cut == pytest.approx(0.18 * TAO / 3, rel=1e-4)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("miners", [1, 2, 4, 10])
def test_equal_miners_divide_the_miners_half_evenly(era: str, miners: int) -> None:
    """And the validator has its half, however many they are."""
    neurons = validators([1000]) + [GenesisNeuron(hotkey=hot(n), coldkey=COLD) for n in range(miners)]
    run = Run(chain(era, neurons))
    uids = tuple(range(1, miners + 1))
    run.block((hot(1000), SetWeights(1, uids, (65535,) * miners)))
    rows = run.settled()
    whole = (TEMPO + (era == "2024")) * TAO
    for uid in uids:
        assert rows[uid].server_emission == pytest.approx(whole / 2 / miners, rel=1e-6)
        assert rows[uid].incentive == 65535 // miners
    assert rows[0].validator_emission == pytest.approx(whole / 2, rel=1e-6)


@pytest.mark.parametrize("era", ERAS)
def test_a_newcomer_takes_of_each_in_proportion(era: str) -> None:
    """Weights 3 to 1, then a third miner with a weight of 4: 3/4 and 1/4 become 3/8 and 1/8."""
    neurons = validators([1000]) + [GenesisNeuron(hotkey=hot(n), coldkey=COLD) for n in range(2)]
    run = Run(chain(era, neurons))
    run.block((hot(1000), SetWeights(1, (1, 2), (3, 1))))
    before = run.settled()
    run.block((COLD, Register(1, hot(9))))
    run.block((hot(1000), SetWeights(1, (1, 2, 3), (3, 1, 4))))
    after = run.settled()
    for uid in (1, 2):
        # Weights are stored in 65535 steps: 1 of 3 is not one of them.
        assert after[uid].server_emission / before[uid].server_emission == pytest.approx(0.5, rel=1e-4)
    assert after[3].server_emission == pytest.approx(
        after[1].server_emission + after[2].server_emission, rel=1e-4
    )


@pytest.mark.parametrize("era", ERAS)
def test_agreeing_validators_divide_their_half_by_stake(era: str) -> None:
    for stakes in ([600], [600, 200], [600, 200, 400]):
        miners = [GenesisNeuron(hotkey=hot(n), coldkey=COLD) for n in range(2)]
        run = Run(chain(era, validators(stakes) + miners))
        row = (len(stakes), len(stakes) + 1)
        run.block(*((hot(1000 + uid), SetWeights(1, row, (2, 1))) for uid in range(len(stakes))))
        rows = run.settled()
        whole = (TEMPO + (era == "2024")) * TAO
        for uid, stake in enumerate(stakes):
            assert rows[uid].validator_emission == pytest.approx(whole / 2 * stake / sum(stakes), rel=0.02)
