"""ValidatorNode: follows the chain, holds rounds, remembers, sets weights once an epoch."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from ranvier.chain import ChainClient, ChainError, Keypair
from ranvier.engines.client import EngineClient
from ranvier.neurons.config.models import ValidatorSettings
from ranvier.neurons.config.networks import Network
from ranvier.neurons.context import address_policy, subnet_settings
from ranvier.neurons.duties.weights import WeightsDuty
from ranvier.neurons.errors import StateMismatch
from ranvier.neurons.events import Event, EventFile, RoundReport, SecretCommitted, SecretRevealed, WeightsSet
from ranvier.neurons.follow import Follower, peers
from ranvier.neurons.health import Health
from ranvier.neurons.keeper import ScoreKeeper
from ranvier.neurons.metrics import Measures
from ranvier.neurons.registration import require_registered
from ranvier.neurons.rounds import Place, Rounds
from ranvier.neurons.state.database import Database
from ranvier.neurons.traffic import AskedCalls
from ranvier.neurons.vectors import U16_MAX
from ranvier.neurons.weights import Landing, WeightsOutcome
from ranvier.protocol import Dendrite
from ranvier.subnets import Context, EpochSecret, Subnet

Listener = Callable[[Event], None]
_GENESIS: Final = "genesis"
_log = logging.getLogger(__name__)


class ValidatorNode:
    """One validator: one hotkey on one subnet, with a state file of its own.

    ``listeners`` get every `Event`; with ``settings.events`` they are written to a file as well. Several nodes may
    run in one process as tasks.
    """

    def __init__(
        self,
        settings: ValidatorSettings,
        network: Network,
        chain: ChainClient,
        key: Keypair,
        subnet: type[Subnet[Any]],
        *,
        engine: EngineClient | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.settings, self.network, self.key = settings, network, key
        self._chain, self._subnet, self._engine = chain, subnet, engine
        self._own = key.ss58_address
        file = [EventFile(Path(settings.events).expanduser())] if settings.events else []
        self._listeners: list[Listener] = [*listeners, *file]
        self._follower = Follower(chain, settings.netuid, settings.refresh_blocks)
        self._problems: dict[str, str] = {}
        self._report: RoundReport | None = None
        self._duty: WeightsDuty | None = None
        self._ends: Counter[str] = Counter()
        self._calls = AskedCalls()

    @property
    def state_file(self) -> Path:
        """Where the scores are."""
        return self.settings.folder / f"validator-{self.settings.netuid}-{self._own}.sqlite"

    async def run(self, stop: asyncio.Event) -> None:
        """Validate until ``stop`` is set.

        Raises `Doppelganger` at any time; `NotRegistered`, `StateError`s and `ChainError` at the start only.
        """
        await require_registered(self._chain, self.settings.netuid, self._own, self.network.name)
        with Database(self.state_file) as database:
            database.claim(f"{self.network.name} {self.settings.netuid} {self._own}")
            keeper = ScoreKeeper(database, subnet_settings(self._subnet, self.settings.settings))
            await self._follower.start()
            await self._check_chain(database, keeper)
            policy = address_policy(self.settings.addresses, self.network)
            wishes = self.settings
            async with Dendrite(
                *(self.key,),
                addresses=policy,
                seal=wishes.seal,
                compress=wishes.compress,
                observe=self._calls.hear,
            ) as dendrite:
                self._calls.of(dendrite)
                await self._work(stop, database, keeper, self._context(dendrite, keeper))

    def health(self) -> Health:
        """Alive and degraded, with figures for /metrics."""
        duty = self._duty
        reasons = (self._follower.degraded, *self._problems.values(), duty.problem if duty else "")
        figures = self._follower.figures() | self._round_figures() | self._own_figures()
        # Shown from the start, at zero: an alert on what never happened needs something to look at.
        counts = {"rounds_total": {end: float(self._ends[end]) for end in ("done", "void")}}
        if duty is not None:
            figures |= duty.figures()
            counts["weights_total"] = {end.value: float(duty.landings[end.value]) for end in Landing}
        own = Measures(figures, counts, {"chain_read_seconds": self._follower.readings})
        measures = own | self._calls.measures()
        return Health("validator", self._own, self.settings.netuid, tuple(filter(None, reasons)), measures)

    def _round_figures(self) -> dict[str, float]:
        if self._report is None:
            return {}
        asked = [line for line in self._report.miners if line.asked]
        return {
            "round": float(self._report.round),
            "round_seconds": self._report.seconds,
            "miners_asked": float(len(asked)),
            "miners_answered": float(sum(line.answered > 0 for line in asked)),
            "miners_verified": float(sum(line.verified > 0 for line in asked)),
        }

    def _own_figures(self) -> dict[str, float]:
        """Of the own neuron in the newest metagraph."""
        own = self._follower.own(self._own)
        if own is None:
            return {"registered": 0.0}
        return {
            "registered": 1.0,
            "stake_rao": float(own.stake),
            "emission_rao": float(own.emission),
            "permit": float(own.validator_permit),
            "dividends": own.dividends / U16_MAX,
            "trust": own.validator_trust / U16_MAX,
            "weights_age_blocks": float(self._follower.block.number - own.last_update),
        }

    def _context(self, dendrite: Dendrite, keeper: ScoreKeeper) -> Context:
        return Context(
            netuid=self.settings.netuid,
            hotkey=self._own,
            settings=subnet_settings(self._subnet, self.settings.settings),
            engine=self._engine,
            memory=keeper.memory,
            dendrite=dendrite,
            peers=lambda: peers(self._follower.metagraph, self._own),
        )

    async def _work(
        self, stop: asyncio.Event, database: Database, keeper: ScoreKeeper, context: Context
    ) -> None:
        subnet = self._subnet(context)
        assert context.dendrite is not None
        rounds = Rounds(subnet, context.dendrite, keeper, self._chain, lambda: self._follower.metagraph)
        duty = self._duty = WeightsDuty(
            *(self.settings, self.network, self._chain, self.key, database, self._follower, keeper),
            weights=subnet.weights,
            done=self._tell_weights,
        )
        await duty.start()
        count, newest = keeper.acknowledged
        _log.info(
            "validating subnet %d as %s: %d rounds kept, newest %d", context.netuid, self._own, count, newest
        )
        work = (
            self._follower.run(),
            self._rounds(rounds, keeper),
            duty.run(),
            stop.wait(),
        )
        tasks = [asyncio.ensure_future(step) for step in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _rounds(self, rounds: Rounds, keeper: ScoreKeeper) -> None:
        """A round in every slot of ``round_blocks``, shifted by hotkey: validators do not all ask at once."""
        shift = (
            int.from_bytes(hashlib.sha256(self._own.encode()).digest()[:4], "big")
            % self.settings.round_blocks
        )
        slot = (keeper.last_block + shift) // self.settings.round_blocks
        block = self._follower.block
        while True:
            now = (block.number + shift) // self.settings.round_blocks
            if now > slot and await self._try_round(rounds, keeper):
                slot = now
            block = await self._follower.next_block(block.number)

    async def _try_round(self, rounds: Rounds, keeper: ScoreKeeper) -> bool:
        """Whether a round was held, be it void; where the chain cannot be read it waits for the next block."""
        try:
            await self._follower.refresh()
        except ChainError as error:
            self._problems["round"] = f"round put off: {error}"
            _log.warning("round put off: %s", error)
            return False
        for hotkey in keeper.prune(self._follower.metagraph):
            _log.info("%s left its place on subnet %d and is forgotten", hotkey, self.settings.netuid)
        epoch = self._follower.metagraph.last_step
        secret = self._secret(keeper, epoch)
        place = Place(self.settings.netuid, self._own, self._follower.block, epoch)
        report = await rounds.hold(place, secret)
        self._problems.pop("round", None)
        self._ends["void" if report is None else "done"] += 1
        if report is not None:
            self._report = report
            self._say(report)
            _log.info("%s", _summary(report))
        return True

    def _secret(self, keeper: ScoreKeeper, epoch: int) -> EpochSecret:
        """The epoch's secret, committed to; spent ones are revealed first. No round runs while this does."""
        where: dict[str, Any] = {"validator": self._own, "netuid": self.settings.netuid}
        for spent in keeper.spent_secrets(epoch):
            self._say(
                SecretRevealed(
                    **where, epoch=spent.epoch, commitment=spent.commitment, secret=spent.secret.hex()
                )
            )
            keeper.revealed(spent)
        secret, fresh = keeper.secret(epoch)
        if fresh:
            self._say(SecretCommitted(**where, epoch=epoch, commitment=secret.commitment))
        return secret

    def _tell_weights(self, outcome: WeightsOutcome) -> None:
        where: dict[str, Any] = {
            "validator": self._own,
            "netuid": self.settings.netuid,
            "epoch": outcome.epoch,
        }
        said = {"landing": outcome.landing.value, "attempts": outcome.attempts, "detail": outcome.detail}
        self._say(WeightsSet(**where, **said, weights=dict(outcome.weights)))

    def _say(self, event: Event) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener(event)

    async def _check_chain(self, database: Database, keeper: ScoreKeeper) -> None:
        """The state belongs to one chain, by its genesis and by how far it has come."""
        genesis, head = await self._chain.genesis(), self._follower.block.number
        known = database.fact(_GENESIS)
        if known is not None and known != genesis:
            problem = (
                f"belongs to the chain with genesis {known[:18]}, and {self.network.name} has {genesis[:18]}"
            )
        elif keeper.last_block > head:
            problem = (
                f"knows block {keeper.last_block}, and {self.network.name} is at block {head}: another chain"
            )
        else:
            database.remember(_GENESIS, genesis)
            return
        raise StateMismatch(
            self.state_file, problem, "Name the chain it belongs to, or another folder with --state."
        )


def _summary(report: RoundReport) -> str:
    """One line for a round."""
    asked = [line for line in report.miners if line.asked]
    answered = sum(line.answered > 0 for line in asked)
    verified = sum(line.verified > 0 for line in asked)
    best = max((line.average for line in asked), default=0.0)
    return (
        f"round {report.round} at block {report.block}: {len(asked)} asked, {answered} answered, {verified} verified, "
        f"best average {best:.3f}, {report.seconds:.1f} s"
    )
