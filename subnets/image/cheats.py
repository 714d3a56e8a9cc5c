"""How an image miner may try to be paid for work that it did not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from pydantic import BaseModel

from ranvier.engines import DecodeRequest, StepRequest, Trace
from ranvier.engines.image.schedule import noise_shares
from ranvier.protocol import Answered, Caller, Code, Refusal
from ranvier.subnets.image.miner import ImageMiner, drawing
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
        return await self.reply(await self.draw(replace(asked, seed=seed)))


class FewerSteps(ImageMiner):
    """Half of the steps, which is half of the work."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Draw coarsely."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        return await self.reply(await self.draw(replace(asked, steps=max(1, asked.steps // 2))))


class OneStepFewer(ImageMiner):
    """Leaves one step away, and declares a coarse dtype for its rounding to hide that."""

    declared = "bfloat16"

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Nearly the picture."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        drawn = await self.draw(replace(asked, steps=max(1, asked.steps - 1)))
        return await self.reply(drawn, dtype=self.declared)


class Unguided(ImageMiner):
    """Leaves guidance away, which may halve the work of a step."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Draw without guidance."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        return await self.reply(await self.draw(replace(asked, guidance=1.0)))


class OtherPrompt(ImageMiner):
    """Draws one prompt, whatever it is asked for."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Another picture from the right noise."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        return await self.reply(
            await self.draw(replace(asked, prompt="a red circle on a plain white ground"))
        )


class Spliced(ImageMiner):
    """Has one chain of each prompt, under a seed of its own, and passes it off as that of every challenge."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """A true chain but for its first link."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        seed = bound_seed(request.prompt.encode(), self.context.hotkey, "")
        return await self.committed(request, caller, await self.trace(replace(asked, seed=seed)))


class Skipping(ImageMiner):
    """Leaves out every second step after the second, and goes straight on from the one before it."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """More than half of the links are true."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        shares = noise_shares(asked.steps)
        made: list[bytes] = []
        for number in range(asked.steps):
            if number < 2 or number % 2:
                made += await self.engine.steps([StepRequest(asked, number, made[-1] if made else b"")])
                continue
            before, here = (np.frombuffer(one, "<f4") for one in made[-2:])
            past, ahead = shares[number] / shares[number - 1], shares[number + 1] / shares[number]
            clean = (here - past * before) / (1 - past)
            made.append((clean + ahead * (here - clean)).astype("<f4").tobytes())
        (png,) = await self.engine.decode([DecodeRequest(made[-1], asked.width, asked.height)])
        return await self.committed(request, caller, Trace(png, tuple(made)))


class Unopened(ImageMiner):
    """Draws coarsely, commits to nothing, and never opens."""

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """A root of no latents."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        return await self.reply(await self.draw(replace(asked, steps=1)), bytes(32))


CHEATS: Final[Mapping[str, Cheat]] = {
    "relay": Cheat(Relay, "relay"),
    "cached": Cheat(Cached, "free"),
    "fewer-steps": Cheat(FewerSteps, "cheaper"),
}
"""The ones that play in every localnet."""

MORE_CHEATS: Final[Mapping[str, Cheat]] = {
    "cached-by-prompt": Cheat(CachedByPrompt, "free"),
    "one-step-fewer": Cheat(OneStepFewer, "cheaper"),
    "unguided": Cheat(Unguided, "cheaper"),
    "other-prompt": Cheat(OtherPrompt, "free"),
}
"""Further ones, for tests."""

STEP_CHEATS: Final[Mapping[str, Cheat]] = {
    "spliced": Cheat(Spliced, "free"),
    "skipping": Cheat(Skipping, "cheaper"),
    "unopened": Cheat(Unopened, "cheaper"),
}
"""Those that only spot checks of single steps have to do with."""
