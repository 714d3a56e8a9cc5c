"""What is known of one node while it is examined: every check may add to it, later ones build on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ranvier.chain import Block, ChainClient, Hyperparameters, Metagraph, Neuron, Wallet
from ranvier.engines.client import EngineClient
from ranvier.neurons.config.models import MinerSettings, NodeSettings
from ranvier.neurons.config.networks import Network
from ranvier.subnets import Miner, Subnet


@dataclass
class Case:
    """One node. A fact that is None could not be established; `missing` says by which check."""

    settings: NodeSettings
    wallet: Wallet | None = None
    hotkey: str | None = None
    network: Network | None = None
    subnet: type[Subnet[Any]] | None = None
    miner: type[Miner[Any]] | None = None
    chain: ChainClient | None = None
    head: Block | None = None
    block_time: float | None = None
    hyperparameters: Hyperparameters | None = None
    metagraph: Metagraph | None = None
    neuron: Neuron | None = None
    engine: EngineClient | None = None
    open: list[Any] = field(default_factory=list)
    """What has to be closed, with an ``async close``."""

    @property
    def is_miner(self) -> bool:
        """Whether the node is a miner."""
        return isinstance(self.settings, MinerSettings)

    @property
    def name(self) -> str:
        """For people: netuid and the hotkey's name."""
        return f"{self.settings.netuid} {self.settings.hotkey}"

    async def close(self) -> None:
        """Close everything that was opened."""
        for one in reversed(self.open):
            await one.close()
        self.open.clear()
