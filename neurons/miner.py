"""MinerNode: serves a miner's answers behind a door that follows the metagraph."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ranvier.chain import RAO, CallRefused, ChainClient, ChainError, Keypair, Metagraph, Serve
from ranvier.engines.client import EngineClient
from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.config.networks import Network
from ranvier.neurons.context import address_policy, subnet_settings
from ranvier.neurons.errors import ConfigError, PortOccupied
from ranvier.neurons.follow import Follower, peers, standings
from ranvier.neurons.health import Health
from ranvier.neurons.metrics import Measures
from ranvier.neurons.registration import require_registered
from ranvier.neurons.traffic import ServedCalls
from ranvier.neurons.vectors import U16_MAX
from ranvier.protocol import Axon, Dendrite, Door, Limits, ReplayGuard
from ranvier.subnets import Context, Miner, Subnet

VERSION: Final = 1
"""Published with the axon: the wire's major version."""
SUMMARY_BLOCKS: Final = 25
_log = logging.getLogger(__name__)


class MinerNode:
    """One miner: one hotkey on one subnet. Several may run in one process as tasks.

    ``ready`` is called with the node once it serves and is published.
    """

    def __init__(
        self,
        settings: MinerSettings,
        network: Network,
        chain: ChainClient,
        key: Keypair,
        subnet: type[Subnet[Any]],
        miner: type[Miner[Any]],
        *,
        engine: EngineClient | None = None,
        ready: Callable[[MinerNode], None] | None = None,
    ) -> None:
        self.settings, self.network, self.key = settings, network, key
        self._chain, self._subnet, self._miner, self._engine = chain, subnet, miner, engine
        self._own = key.ss58_address
        self._ready = ready
        self._follower = Follower(chain, settings.netuid, settings.refresh_blocks)
        self._door = _door(settings)
        self._problems: dict[str, str] = {}
        self._calls = ServedCalls()
        self._published = False
        self.axon = self._axon()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, then drain. Raises `NeuronError` or `ChainError` at the start."""
        await require_registered(self._chain, self.settings.netuid, self._own, self.network.name)
        self._follower.listen(lambda metagraph: self._door.update(standings(metagraph)))
        await self._follower.start()
        policy = address_policy(self.settings.addresses, self.network)
        async with Dendrite(self.key, addresses=policy) as dendrite:
            code = self._miner(self._context(dendrite))
            self.axon.serve(self._subnet.synapse, code.answer)
            for synapse, handler in code.further().items():
                self.axon.serve(synapse, handler)
            await self._listen()
            try:
                await self._serve(stop)
            finally:
                await self.axon.stop(self.settings.drain)
        _log.info("stopped: %s", self._counts())

    def health(self) -> Health:
        """Alive and degraded, with figures for /metrics."""
        reasons = (self._follower.degraded, *self._problems.values())
        figures = {
            **self._follower.figures(),
            "published": float(self._published),
            **self._own_figures(),
        }
        own = Measures(figures, distributions={"chain_read_seconds": self._follower.readings})
        measures = own | self._calls.measures(self.axon)
        return Health("miner", self._own, self.settings.netuid, tuple(filter(None, reasons)), measures)

    def _own_figures(self) -> dict[str, float]:
        """Of the own neuron in the newest metagraph."""
        own = self._follower.own(self._own)
        if own is None:
            return {"registered": 0.0}
        return {
            "registered": 1.0,
            "stake_rao": float(own.stake),
            "emission_rao": float(own.emission),
            "incentive": own.incentive / U16_MAX,
        }

    def _axon(self) -> Axon:
        limits = Limits(max_concurrent=self.settings.max_concurrent, max_queue=self.settings.max_queue)
        return Axon(
            *(self.key,),
            host=self.settings.host,
            port=self.settings.port,
            door=self._door,
            limits=limits,
            replay=ReplayGuard(self._replay_file()),
            legacy=self.settings.legacy,
            seal_required=self.settings.seal_required,
            observe=self._calls.hear,
        )

    def _replay_file(self) -> Path:
        folder = self.settings.folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"miner-{self.settings.netuid}-{self._own}.nonce"

    def _context(self, dendrite: Dendrite) -> Context:
        return Context(
            netuid=self.settings.netuid,
            hotkey=self._own,
            settings=subnet_settings(self._subnet, self.settings.settings),
            engine=self._engine,
            dendrite=dendrite,
            peers=lambda: peers(self._follower.metagraph, self._own),
            model=self.settings.model or None,
        )

    async def _listen(self) -> None:
        try:
            await self.axon.start()
        except OSError as error:
            raise PortOccupied(self.settings.host, self.settings.port, "the axon") from error

    async def _serve(self, stop: asyncio.Event) -> None:
        work = (self._follower.run(), self._publish_and_watch(), stop.wait())
        tasks = [asyncio.ensure_future(step) for step in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish_and_watch(self) -> None:
        """Keep the published address right, and say every so often what was answered."""
        block = self._follower.block
        said, announced = block.number, False
        while True:
            published = self._published = await self._publish(self._follower.metagraph)
            if published and not announced:
                announced = True
                _log.info(
                    "serving subnet %d as %s on port %d", self.settings.netuid, self._own, self.axon.port
                )
                if self._ready is not None:
                    self._ready(self)
            if block.number - said >= SUMMARY_BLOCKS:
                said = block.number
                _log.info("block %d: %s", block.number, self._counts())
            block = await self._follower.next_block(block.number)

    async def _publish(self, metagraph: Metagraph) -> bool:
        """Send `Serve` where the chain says something else; refusals for now are tried again with the next block."""
        neuron = metagraph.by_hotkey(self._own)
        if neuron is None:
            self._problems["registration"] = "the hotkey is no longer registered: nobody will ask"
            return False
        self._problems.pop("registration", None)
        here = (self._address(), self.settings.advertise_port or self.axon.port)
        if neuron.axon is not None and (neuron.axon.ip, neuron.axon.port) == here:
            return True
        try:
            await self._chain.submit(Serve(self.settings.netuid, *here, VERSION), self.key)
            await self._follower.refresh()
        except CallRefused as error:
            if error.name == "InvalidIpAddress":
                raise ConfigError(
                    "advertise", f"the chain refuses the address {here[0]}: name one that others can reach"
                ) from error
            self._problems["publish"] = f"not published: {error}"
            return False
        except ChainError as error:
            self._problems["publish"] = f"not published: {error}"
            _log.warning("the axon could not be published: %s; trying again", error)
            return False
        self._problems.pop("publish", None)
        return True

    def _address(self) -> str:
        shown = self.settings.advertise or self.settings.host
        try:
            address = ipaddress.ip_address(shown)
        except ValueError as error:
            raise ConfigError("advertise", f"{shown!r} is no IP address; set advertise to one") from error
        if address.is_unspecified:
            raise ConfigError(
                "advertise", f"{shown} cannot be called; set advertise to the address others reach"
            )
        return str(address)

    def _counts(self) -> str:
        counts = ", ".join(f"{count} {code}" for code, count in sorted(self.axon.stats.items()))
        return counts or "nobody asked yet"


def _door(settings: MinerSettings) -> Door:
    door = settings.door
    return Door(
        minimum_stake=int(door.minimum_stake * RAO),
        require_permit=door.require_permit,
        allow=frozenset(door.allow),
        deny=frozenset(door.deny),
    )
