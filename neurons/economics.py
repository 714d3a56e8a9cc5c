"""What a place on a subnet costs and brings, counted from the chain's own history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ranvier.chain import Epoch, Metagraph, SubnetInfo
from ranvier.chain.explorer import SubnetPoint

DAY: Final = 86_400.0
"""Seconds over which income is counted."""


@dataclass(frozen=True, slots=True)
class Economics:
    """One subnet over `hours` (a day, or what there is of one); amounts are rao.

    With an `alpha_price` (TAO for one alpha) `income`, `miners_income` and `mean_miner` are of alpha; without they are,
    as `price` and `recycled` always, of TAO. Miners of the subnet's owner do not count where they are not paid.
    `miners` are neurons that were paid as miners. `break_even_hours`: until the mean miner has earned the price; None
    where nobody earns. `pruning_chance`: of a neuron past its immunity, within a day at the present pace of
    registrations; 0 while there are free slots.
    """

    netuid: int
    hours: float
    price: int
    difficulty: int
    income: int
    miners_income: int
    recycled: int
    registrations: int
    miners: int
    mean_miner: int
    break_even_hours: float | None
    pruning_chance: float
    alpha_price: float | None = None

    @property
    def mean_miner_tao(self) -> int:
        """Rao of TAO that the mean miner earned, alpha at the price of now."""
        return self.mean_miner if self.alpha_price is None else int(self.mean_miner * self.alpha_price)


def economics(
    info: SubnetInfo,
    graph: Metagraph,
    epochs: Sequence[Epoch],
    points: Sequence[SubnetPoint],
    *,
    block_time: float,
    immunity: int,
    difficulty: int = 0,
    alpha_price: float | None = None,
) -> Economics:
    """From epochs and points of the last day (older ones are left out)."""
    since = max(graph.block - round(DAY / block_time), info.created_at)
    hours = max(graph.block - since, 1) * block_time / 3600
    paid = [row for epoch in epochs if epoch.block > since for row in epoch.rows]
    miners = {row.hotkey for row in paid if row.server_emission}
    server = sum(row.server_emission for row in paid)
    mean = server // len(miners) if miners else 0
    worth = mean * (1.0 if alpha_price is None else alpha_price)
    recent = [point for point in points if point.block > since]
    before = next((point for point in reversed(points) if point.block <= since), None)
    recycled = recent[-1].recycled - (before.recycled if before else 0) if recent else 0
    joined = sum(neuron.registered_at > max(since, info.created_at) for neuron in graph.neurons)
    return Economics(
        netuid=info.netuid,
        hours=hours,
        price=info.burn,
        difficulty=difficulty,
        income=server + sum(row.validator_emission for row in paid),
        miners_income=server,
        recycled=recycled,
        registrations=joined,
        miners=len(miners),
        mean_miner=mean,
        break_even_hours=info.burn / worth * hours if worth else None,
        pruning_chance=_pruning(info, graph, joined * 24 / hours, immunity),
        alpha_price=alpha_price,
    )


def _pruning(info: SubnetInfo, graph: Metagraph, a_day: float, immunity: int) -> float:
    if info.neurons < info.max_neurons:
        return 0.0
    settled = sum(graph.block - neuron.registered_at >= immunity for neuron in graph.neurons)
    return min(1.0, a_day / settled) if settled else 0.0
