"""What a running network has come to: the chain's record and the validators' own words, as one report."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ranvier.chain import ChainClient, Metagraph
from ranvier.neurons.localnet.earnings import Earnings
from ranvier.neurons.localnet.memory import resident
from ranvier.neurons.localnet.plan import Folder, Member, Plan, Subnetwork
from ranvier.neurons.localnet.report import MinerRow, NetworkReport, Phases, SubnetReport, ValidatorRow
from ranvier.neurons.localnet.watch import Watcher

U16 = 65535


class SubnetObserver:
    """One subnet since this run began."""

    def __init__(self, folder: Folder, planned: Subnetwork, since: int) -> None:
        self._planned = planned
        self._watcher = Watcher(folder, planned)
        self.earnings = Earnings(planned.netuid, since)
        self._distance: dict[str, float] = {}

    @property
    def rounds(self) -> int:
        """Rounds of all validators."""
        return sum(self._watcher.rounds.values())

    async def read(self, chain: ChainClient) -> SubnetReport:
        """The subnet now."""
        self._watcher.read()
        await self.earnings.read(chain)
        metagraph = await chain.metagraph(self._planned.netuid)
        weights = await chain.weights(self._planned.netuid)
        return SubnetReport(
            name=self._planned.name,
            netuid=self._planned.netuid,
            epochs=self.earnings.epochs,
            miners=tuple(self._miner(member, metagraph) for member in self._planned.miners),
            validators=tuple(
                self._validator(member, metagraph, weights) for member in self._planned.validators
            ),
        )

    def _miner(self, member: Member, metagraph: Metagraph) -> MinerRow:
        tally = self._watcher.tallies[member.hotkey]
        neuron = metagraph.by_hotkey(member.hotkey)
        return MinerRow(
            name=member.name.removeprefix(f"{self._planned.name}-"),
            hotkey=member.hotkey,
            kind=member.kind,
            uid=member.uid,
            asked=tally.asked,
            answered=tally.answered,
            verified=tally.verified,
            score=tally.score,
            incentive=neuron.incentive / U16 if neuron else 0.0,
            earned=self.earnings.server[member.hotkey],
            latency=tally.latency,
            reason=tally.reason,
        )

    def _validator(
        self, member: Member, metagraph: Metagraph, weights: dict[int, dict[int, int]]
    ) -> ValidatorRow:
        neuron = metagraph.by_hotkey(member.hotkey)
        consensus = [one.consensus for one in metagraph.neurons]
        return ValidatorRow(
            name=member.name.removeprefix(f"{self._planned.name}-"),
            hotkey=member.hotkey,
            kind=member.kind,
            uid=member.uid,
            stake=member.stake,
            distance=distance(weights.get(member.uid, {}), consensus),
            dividends=neuron.dividends / U16 if neuron else 0.0,
            earned=self.earnings.dividends[member.hotkey],
            rounds=self._watcher.rounds[member.hotkey],
        )


def distance(row: dict[int, int], consensus: Sequence[int]) -> float | None:
    """Half the L1 distance of two normalised vectors: 0 where they agree, 1 where they share nothing."""
    own, common = sum(row.values()), sum(consensus)
    if not own or not common:
        return None
    gaps = (abs(row.get(uid, 0) / own - value / common) for uid, value in enumerate(consensus))
    return sum(gaps) / 2


class Observer:
    """The whole network since this run began."""

    def __init__(self, folder: Folder, plan: Plan, started: float, since: int, version: str) -> None:
        self._started = started
        self._subnets = [SubnetObserver(folder, subnet, since) for subnet in plan.subnets]
        self.report = NetworkReport(
            version=version, seed=plan.seed, block_time=plan.block_time, tempo=plan.tempo
        )

    async def read(self, chain: ChainClient, pids: Sequence[int]) -> NetworkReport:
        """The network now; raises `ChainError`."""
        block = await chain.block()
        subnets = [await observer.read(chain) for observer in self._subnets]
        self.report = self.report.model_copy(
            update={
                "block": block.number,
                "subnets": tuple(subnets),
                "peak_memory": max(self.report.peak_memory, resident(pids)),
            }
        )
        if any(observer.rounds for observer in self._subnets):
            self.mark("first_round")
        if subnets and all(subnet.epochs for subnet in subnets):
            self.mark("first_incentive")
        return self.report

    def mark(self, phase: str) -> None:
        """Note when a phase was reached, the first time."""
        phases = self.report.phases
        if getattr(phases, phase) is None:
            seconds = round(time.monotonic() - self._started, 1)
            self.report = self.report.model_copy(
                update={"phases": Phases(**{**phases.model_dump(), phase: seconds})}
            )
