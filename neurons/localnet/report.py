"""What a run of the localnet comes to: earnings by participant, and whether honest work paid best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict

from ranvier.neurons.localnet.cast import Kind

DIVIDEND_BOUND: Final = 0.5
"""The self-dealer's dividends per stake, as a share of the least-paid honest validator's, must stay under this."""


class Frozen(BaseModel):
    """A record of the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MinerRow(Frozen):
    """One miner. ``earned`` is rao of server emission since the first incentive; ``latency`` is in seconds."""

    name: str
    hotkey: str
    kind: Kind
    uid: int
    asked: int = 0
    answered: int = 0
    verified: int = 0
    score: float = 0.0
    incentive: float = 0.0
    earned: int = 0
    latency: float | None = None
    reason: str = ""


class ValidatorRow(Frozen):
    """One validator. ``distance`` is half the L1 distance of its weights from consensus, in [0, 1]."""

    name: str
    hotkey: str
    kind: Kind
    uid: int
    stake: int
    distance: float | None = None
    dividends: float = 0.0
    earned: int = 0
    rounds: int = 0

    @property
    def yield_per_stake(self) -> float:
        """Dividends earned per rao of stake."""
        return self.earned / self.stake if self.stake else 0.0


class SubnetReport(Frozen):
    """One subnet: its participants and how many epochs paid incentive."""

    name: str
    netuid: int
    epochs: int = 0
    miners: tuple[MinerRow, ...] = ()
    validators: tuple[ValidatorRow, ...] = ()

    def failures(self) -> tuple[str, ...]:
        """Each way in which this subnet did not show what it must; empty means passed."""
        return (*self._unpaid(), *self._overpaid(), *self._dealing())

    def _honest(self) -> list[MinerRow]:
        return [row for row in self.miners if row.kind.is_honest_miner]

    def _unpaid(self) -> Iterable[str]:
        return (f"{row.name} is honest and earned nothing" for row in self._honest() if row.earned == 0)

    def _overpaid(self) -> Iterable[str]:
        floor = min((row.earned for row in self._honest()), default=0)
        for row in self.miners:
            bound = row.kind.bound
            if bound is not None and row.earned > bound * floor:
                share = row.earned / floor if floor else float("inf")
                yield f"{row.name} ({row.kind}) earned {share:.3f} of an honest miner; at most {bound:.3f} is allowed"

    def _dealing(self) -> Iterable[str]:
        honest = [row.yield_per_stake for row in self.validators if row.kind is Kind.VALIDATOR]
        for row in self.validators:
            if row.kind is Kind.SELF_DEALER and row.yield_per_stake >= DIVIDEND_BOUND * min(
                honest, default=0.0
            ):
                yield f"{row.name} earned as much per stake as {DIVIDEND_BOUND} of an honest validator or more"


class Phases(Frozen):
    """Seconds from the network's start; None where it did not come to that."""

    engines_ready: float | None = None
    neurons_started: float | None = None
    first_round: float | None = None
    first_incentive: float | None = None
    end: float | None = None


class NetworkReport(Frozen):
    """The whole run, as ``--json`` writes it."""

    version: str
    seed: int
    block: int = 0
    block_time: float
    tempo: int
    phases: Phases = Phases()
    peak_memory: int = 0
    """Bytes resident in all processes together, at the highest sample."""
    subnets: tuple[SubnetReport, ...] = ()

    def failures(self) -> tuple[str, ...]:
        """All failures, each with its subnet's name."""
        return tuple(f"{subnet.name}: {failure}" for subnet in self.subnets for failure in subnet.failures())
