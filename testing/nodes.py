"""The nodes of a laboratory: real miners and validators as tasks that can be stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final

from ranvier.chain import ChainClient
from ranvier.chain.schedule import next_epoch_2024
from ranvier.engines.client import EngineClient
from ranvier.engines.models import Generation, TextRequest
from ranvier.neurons.config import DoorSettings, MinerSettings, Network, ValidatorSettings
from ranvier.neurons.events import Event
from ranvier.neurons.localnet.cast import MINIMUM_STAKE
from ranvier.neurons.miner import MinerNode
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.scores import Scores
from ranvier.neurons.validator import ValidatorNode
from ranvier.subnets import EpochSecret
from ranvier.testing.conduct import Conduct, conducted
from ranvier.testing.errors import NodeFailed
from ranvier.testing.loop import SimulatedLoop
from ranvier.testing.setup import NETUID, Participant, Setup

SEEDED_EPOCHS: Final = 1000
"""Epochs whose secrets follow from the laboratory's seed; later ones are drawn as on any network."""


class OutsideEngine(EngineClient):
    """An engine in another process: no simulated time passes while it works."""

    async def _request(self, method: str, path: str, body: bytes | None, deadline: float, most: int) -> bytes:
        with _loop().outside():
            return await super()._request(method, path, body, deadline, most)

    async def stream(
        self, request: TextRequest, *, model: str | None = None, deadline: float = 120.0
    ) -> AsyncGenerator[str | Generation, None]:
        """As any engine's."""
        with _loop().outside():
            async for item in super().stream(request, model=model, deadline=deadline):
                yield item


class Seat:
    """A participant's node: at most one runs at a time. ``faults`` are what befell it."""

    def __init__(self, participant: Participant) -> None:
        self.participant = participant
        self.faults: list[str] = []
        self.conduct = Conduct(participant.code) if participant.code is not None else None
        self.ready = False
        self.lives = 0
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether its node runs."""
        return self._task is not None

    def start(self, node: MinerNode | ValidatorNode) -> None:
        """Run a node in this seat."""
        self.lives += 1
        self._stop = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(node.run(self._stop), name=self.participant.name)

    async def stop(self) -> None:
        """End its node as a signal would, and wait for that; raises what the node raised."""
        task, self._task, self.ready = self._task, None, False
        if task is not None:
            self._stop.set()
            await task

    async def kill(self) -> None:
        """End its node whatever state it is in."""
        task, self._task, self.ready = self._task, None, False
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def check(self) -> None:
        """Raise `NodeFailed` where the node ended by itself."""
        if self._task is not None and self._task.done():
            error = self._task.exception()
            raise NodeFailed(self.participant.name, str(error) or repr(error)) from error


class Workshop:
    """Makes nodes for the participants of one laboratory."""

    def __init__(self, setup: Setup, folder: Path, chain: ChainClient, engine: EngineClient | None) -> None:
        self._setup, self._folder, self._chain, self._engine = setup, folder, chain, engine
        self._network = Network("lab", chain.endpoint)

    def miner(self, seat: Seat) -> MinerNode:
        """A miner's node; a new life has its own state folder, since nonces go by the real clock."""
        assert seat.conduct is not None

        def ready(_: MinerNode) -> None:
            seat.ready = True

        one = seat.participant
        return MinerNode(
            MinerSettings(
                **self._common(f"{one.name}-{seat.lives}"),
                model=one.model,
                drain=0.0,
                door=DoorSettings(minimum_stake=MINIMUM_STAKE),
            ),
            *(self._network, self._chain, one.key, self._setup.subnet, conducted(seat.conduct)),
            engine=self._engine,
            ready=ready,
        )

    def validator(self, one: Participant, listener: Callable[[Event], None]) -> ValidatorNode:
        """A validator's node, whose secrets are journalled already; a new life keeps its state."""
        node = ValidatorNode(
            ValidatorSettings(
                **self._common(one.name), round_blocks=self._setup.round_blocks, observe_blocks=0
            ),
            *(self._network, self._chain, one.key, self._setup.subnet),
            engine=self._engine,
            listeners=[listener],
        )
        if not node.state_file.exists():
            self._journal_secrets(one, node.state_file)
        return node

    def _common(self, folder: str) -> dict[str, Any]:
        return {
            "subnet": self._setup.subnet.name,
            "netuid": NETUID,
            "network": "lab",
            "state": str(self._folder / folder),
            "refresh_blocks": 1,
            "addresses": "private",
            "settings": dict(self._setup.settings),
        }

    def _journal_secrets(self, one: Participant, path: Path) -> None:
        epochs: list[int] = [0]
        for _ in range(SEEDED_EPOCHS):
            following = next_epoch_2024(epochs[-1] + 1, NETUID, self._setup.tempo)
            epochs.append(following if following is not None else epochs[-1] + 1)
        with Database(path) as database, database.transaction():
            scores = Scores(database)
            for epoch in epochs:
                scores.commit_secret(EpochSecret(epoch, self._setup.secret(one.name, epoch)))


def _loop() -> SimulatedLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    return loop
