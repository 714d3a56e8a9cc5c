"""An image miner behind an axon and a validator before it, over loopback."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Self

from ranvier.engines import EngineClient
from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Dendrite,
    Door,
    Standing,
    Target,
    keypair_from_uri,
)
from ranvier.subnets import Answer, Context, Peer, Round, Verdict, judge
from ranvier.subnets.image import ImageGeneration, ImageMiner, ImageSettings, ImageSubnet

VALIDATOR, MINER, STRANGER = (keypair_from_uri(f"//{name}") for name in ("validator", "miner", "stranger"))


class Network:
    """One miner behind an axon, one validator before it."""

    def __init__(
        self,
        engine: EngineClient,
        kind: type[ImageMiner] = ImageMiner,
        settings: ImageSettings | None = None,
        model: str | None = None,
    ) -> None:
        self.settings, self.engine = settings or ImageSettings(), engine
        self.miner = kind(Context(1, MINER.ss58_address, self.settings, engine, model=model))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        door = Door()
        door.update(
            {
                key.ss58_address: Standing(uid, 5, validator_permit=True)
                for uid, key in enumerate((VALIDATOR, STRANGER))
            }
        )
        self.axon = Axon(MINER, door=door)
        self.axon.serve(ImageGeneration, self.miner.answer)
        for synapse, handler in self.miner.further().items():
            self.axon.serve(synapse, handler)
        await self._stack.enter_async_context(self.axon)
        policy = AddressPolicy.local()
        self.dendrite = await self._stack.enter_async_context(Dendrite(VALIDATOR, addresses=policy))
        self.stranger = await self._stack.enter_async_context(Dendrite(STRANGER, addresses=policy))
        self.target = Target(MINER.ss58_address, "127.0.0.1", self.axon.port)
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._stack.aclose()

    def subnet(self) -> ImageSubnet:
        return ImageSubnet(
            Context(1, VALIDATOR.ss58_address, self.settings, self.engine, dendrite=self.dendrite)
        )

    async def round(self, number: int = 1) -> tuple[Round, list[Answer[ImageGeneration]]]:
        """The answers of a round, and the round."""
        peers = (Peer(1, MINER.ss58_address, self.target),)
        round_ = Round(number, 1, 100, "0xabc", VALIDATOR.ss58_address, peers, b"s" * 32)
        answers = []
        for task in self.subnet().tasks(round_):
            outcome = await self.dendrite.ask(self.target, task.request, deadline=30)
            assert isinstance(outcome, Answered), outcome
            answers.append(Answer(task, outcome))
        return round_, answers

    async def verdict(self, number: int = 1) -> Verdict:
        round_, answers = await self.round(number)
        (found,) = await judge(self.subnet(), round_, answers)
        return found
