"""What is known of one node while it is examined: checks add facts to it, others build on them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from ranvier.chain import Block, ChainClient, Hyperparameters, Metagraph, Neuron, UnknownNetwork, Wallet
from ranvier.neurons.config.models import MinerSettings, NodeSettings
from ranvier.neurons.config.networks import Network, resolve
from ranvier.neurons.doctor.trial import Plugin

_FAREWELL: Final = 5.0
"""Seconds for a connection to be closed: a dead peer does not answer a farewell."""


@dataclass
class Case:
    """One node. A fact that is None could not be established; `examine.SOURCES` says by which check it would be."""

    settings: NodeSettings
    network: Network | None = None
    wallet: Wallet | None = None
    hotkey: str | None = None
    """Address of the key in the hotkey's file."""
    plugin: Plugin | None = None
    chain: ChainClient | None = None
    genesis: str | None = None
    head: Block | None = None
    block_time: float | None = None
    lag: float | None = None
    """Seconds by which our clock was ahead of the newest block's time when that block came."""
    hyperparameters: Hyperparameters | None = None
    metagraph: Metagraph | None = None
    neuron: Neuron | None = None
    open: list[Any] = field(default_factory=list)
    """What has to be closed, with an ``async close``."""

    def __post_init__(self) -> None:
        try:
            self.network = resolve(self.settings.network, self.settings.networks)
        except UnknownNetwork:
            self.network = None  # the check of the network says why

    @property
    def is_miner(self) -> bool:
        """Whether the node is a miner."""
        return isinstance(self.settings, MinerSettings)

    @property
    def is_private(self) -> bool:
        """Whether the network is one's own, by its address or because the settings say so: no money is in it."""
        private = self.settings.addresses == "private"
        return private or (self.network is not None and self.network.on_this_machine)

    @property
    def name(self) -> str:
        """For people: netuid and the hotkey's name."""
        return f"{self.settings.netuid} {self.settings.hotkey}"

    async def close(self) -> None:
        """Close everything that was opened."""
        try:
            async with asyncio.timeout(_FAREWELL):
                for one in reversed(self.open):
                    await one.close()
        except TimeoutError:
            pass  # the process ends anyway, and takes the connection with it
        self.open.clear()
