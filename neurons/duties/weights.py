"""The validator's main duty: weights once an epoch, promises kept, and silence while somebody else might speak."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ranvier.chain import ChainClient, ChainError, Keypair, Metagraph, WeightCommit
from ranvier.neurons.config.models import ValidatorSettings
from ranvier.neurons.config.networks import Network
from ranvier.neurons.duties.doppelganger import DoppelgangerWatch, blocks_to_observe
from ranvier.neurons.duties.revealer import Revealer
from ranvier.neurons.errors import BadWeights, Doppelganger, NeuronError
from ranvier.neurons.follow import Follower
from ranvier.neurons.keeper import ScoreKeeper
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Journal
from ranvier.neurons.weights import WeightSetter, WeightsOutcome

PAUSE: Final = 2.0
"""Seconds before a failed step is tried again, or one block if that is less."""
Weights = Callable[[Mapping[str, float]], Mapping[str, float]]
_log = logging.getLogger(__name__)


class WeightsDuty:
    """Sets the weights of one validator. ``problem`` says why it is behind; empty is well."""

    def __init__(
        self,
        settings: ValidatorSettings,
        network: Network,
        chain: ChainClient,
        key: Keypair,
        database: Database,
        follower: Follower,
        keeper: ScoreKeeper,
        weights: Weights,
        done: Callable[[WeightsOutcome], None],
    ) -> None:
        """``weights`` turns averages into weights; ``done`` hears of every epoch's outcome."""
        self._settings, self._chain, self._follower, self._keeper = settings, chain, follower, keeper
        self._weights, self._done = weights, done
        self._database, self._network, self._own = database, network, key.ss58_address
        journal = Journal(database)
        self._setter = WeightSetter(
            *(chain, key, settings.netuid, journal),
            network=network.name,
            version_key=settings.version_key,
            guard=self._alone,
        )
        self._revealer = Revealer(
            *(chain, key, settings.netuid, journal, network.name), guard=self._no_other_promises
        )
        self._watch: DoppelgangerWatch | None = None
        self.problem = ""
        self.outcome: WeightsOutcome | None = None
        """Of the newest epoch that was tried."""
        self.landings: Counter[str] = Counter()
        """Epochs by how they ended."""
        self._attempts = 0
        self._promises = 0

    def figures(self) -> dict[str, float]:
        """For /metrics."""
        found = {"weights_attempts_total": float(self._attempts), "promises": float(self._promises)}
        if self.outcome is not None:
            found["weights_epoch"] = float(self.outcome.epoch)
        return found

    async def start(self) -> None:
        """Look whether somebody else uses the hotkey; raises `Doppelganger` or `ChainError`."""
        metagraph = self._follower.metagraph
        observe = blocks_to_observe(
            self._settings.observe_blocks, metagraph.tempo, on_this_machine=self._network.on_this_machine
        )
        self._watch = DoppelgangerWatch(
            *(self._database, self._network.name, self._settings.netuid, self._own),
            observe=observe,
            takeover=self._settings.takeover,
        )
        await self._watch.start(self._chain, metagraph)
        if observe:
            _log.info("no weights for %d blocks: watching for another validator with this hotkey", observe)

    async def run(self) -> None:
        """Until cancelled; raises `Doppelganger`. Everything else is tried again."""
        steps = (asyncio.ensure_future(self._setting()), asyncio.ensure_future(self._revealing()))
        try:
            await asyncio.gather(*steps)
        finally:
            for step in steps:
                step.cancel()
            await asyncio.gather(*steps, return_exceptions=True)

    def _alone(self, metagraph: Metagraph) -> None:
        assert self._watch is not None
        self._watch.check(metagraph)

    def _no_other_promises(self, commits: Sequence[WeightCommit]) -> None:
        assert self._watch is not None
        self._watch.check_promises(commits)

    async def _revealing(self) -> None:
        """Beside the setting: a vector may be tried until its epoch ends, and so does the window of a promise."""
        block = self._follower.block
        while True:
            try:
                self._promises = await self._revealer.keep(self._follower.metagraph)
            except ChainError as error:
                _log.warning("promised weights not shown yet: %s", error)
                await asyncio.sleep(min(PAUSE, self._follower.block_time))
            block = await self._follower.next_block(block.number)

    async def _setting(self) -> None:
        assert self._watch is not None
        block = self._follower.block
        while True:
            try:
                await self._step(self._watch, block.number)
                self.problem = self._missed()
            except Doppelganger:
                raise
            except (BadWeights, ChainError, NeuronError) as error:
                self.problem = f"weights not set: {error}"
                _log.warning("weights not set: %s", error)
                await asyncio.sleep(min(PAUSE, self._follower.block_time))
            block = await self._follower.next_block(block.number)

    async def _step(self, watch: DoppelgangerWatch, block: int) -> None:
        metagraph = self._follower.metagraph
        tried = self.outcome.epoch if self.outcome is not None else None
        if metagraph.last_step == tried or not _due(metagraph, block, self._settings.weights_after):
            return
        weights = self._weights(self._keeper.averages)
        if watch.watching(block) or not any(weight > 0 for weight in weights.values()):
            return
        watch.check(await self._follower.refresh())
        self.outcome = await self._setter.set(weights, places=self._keeper.places)
        outcome = self.outcome
        self.landings[outcome.landing.value] += 1
        self._attempts += outcome.attempts
        _log.info(
            "weights of epoch %d: %s after %d attempts", outcome.epoch, outcome.landing, outcome.attempts
        )
        self._done(outcome)

    def _missed(self) -> str:
        if self.outcome is None or self.outcome.landed:
            return ""
        return f"weights of epoch {self.outcome.epoch} did not land: {self.outcome.detail}"


def _due(metagraph: Metagraph, block: int, share: float) -> bool:
    return block - metagraph.last_step >= share * metagraph.tempo
