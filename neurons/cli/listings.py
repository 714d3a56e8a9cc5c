"""``ranvier metagraph``."""

from __future__ import annotations

import asyncio
from typing import Any

from ranvier.neurons.cli.ledger.options import AsJson, Netuid, Network
from ranvier.neurons.cli.tables import show


def metagraph(
    netuid: Netuid,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """The neurons of a subnet: stake, ratios in 0..1, emission of the last epoch. In TAO, or the subnet's alpha.

    With alpha stake is alpha and what TAO on root counts beside it, and the owner's own miners are not paid theirs.
    """
    found = asyncio.run(_metagraph(network, netuid))
    columns = (
        "uid",
        "hotkey",
        "stake",
        "permit",
        "trust",
        "consensus",
        "incentive",
        "dividends",
        "emission",
        "axon",
    )
    rows = [_row(neuron) for neuron in found.neurons]
    show(
        columns,
        rows,
        as_json=as_json,
        title=f"subnet {netuid} ({found.name}) of {network} at block {found.block}",
    )


def _row(neuron: Any) -> tuple[Any, ...]:
    from ranvier.chain import RAO

    ratios = (neuron.trust, neuron.consensus, neuron.incentive, neuron.dividends)
    axon = f"{neuron.axon.ip}:{neuron.axon.port}" if neuron.axon else ""
    return (
        *(neuron.uid, neuron.hotkey, neuron.stake / RAO, neuron.validator_permit),
        *(value / 65535 for value in ratios),
        *(neuron.emission / RAO, axon),
    )


async def _metagraph(network: str, netuid: int) -> Any:
    from ranvier.chain import connect
    from ranvier.neurons.config import resolve

    chain = connect(resolve(network).endpoint)
    try:
        return await chain.metagraph(netuid)
    finally:
        await chain.close()
