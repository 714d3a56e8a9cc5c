"""How an image miner may try to be paid for work that it did not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pydantic import BaseModel

from ranvier.protocol import Answered, Caller, Code, Refusal
from ranvier.subnets.image.miner import ImageMiner, drawing, reply_of
from ranvier.subnets.image.synapse import ImageGeneration
from ranvier.subnets.subnet import Cheat, bound_seed


class Relay(ImageMiner):
    """Forwards the challenge over the wire to another miner and passes its picture on as its own."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Whatever the first miner that answers draws."""
        if self.context.dendrite is not None:
            deadline = self.context.settings.deadline / 2
            for peer in self.context.peers():
                if peer.hotkey in {self.context.hotkey, caller.hotkey}:
                    continue
                outcome = await self.context.dendrite.ask(peer.target, request, deadline=deadline)
                if isinstance(outcome, Answered):
                    answered: BaseModel = outcome.reply
                    return answered
        raise Refusal(Code.DECLINED, "nobody to relay to")


class Cached(ImageMiner):
    """Draws once, honestly, and gives that picture for ever."""

    _first: BaseModel | None = None

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """The first picture."""
        if self._first is None:
            self._first = await super().answer(request, caller)
        return self._first


class CachedByPrompt(ImageMiner):
    """Draws each prompt once, under a seed of its own."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """A picture of the right prompt from noise that serves all callers."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        seed = bound_seed(request.prompt.encode(), self.context.hotkey, "")
        return reply_of(await self.draw(replace(asked, seed=seed)))


class FewerSteps(ImageMiner):
    """Half of the steps, which is half of the work."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Draw coarsely."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        return reply_of(await self.draw(replace(asked, steps=max(1, asked.steps // 2))))


class Unguided(ImageMiner):
    """Leaves guidance away, which may halve the work of a step."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Draw without guidance."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        return reply_of(await self.draw(replace(asked, guidance=1.0)))


class OtherPrompt(ImageMiner):
    """Draws one prompt, whatever it is asked for."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Another picture from the right noise."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        return reply_of(await self.draw(replace(asked, prompt="a red circle on a plain white ground")))


CHEATS: Final[Mapping[str, Cheat]] = {
    "relay": Cheat(Relay, "relay"),
    "cached": Cheat(Cached, "free"),
    "fewer-steps": Cheat(FewerSteps, "cheaper"),
}
"""The ones that play in every localnet."""

MORE_CHEATS: Final[Mapping[str, Cheat]] = {
    "cached-by-prompt": Cheat(CachedByPrompt, "free"),
    "unguided": Cheat(Unguided, "cheaper"),
    "other-prompt": Cheat(OtherPrompt, "free"),
}
"""Further ones, for tests."""
