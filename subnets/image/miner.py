"""The default miner: the declared model, from the noise that the challenge and both hotkeys give."""

from __future__ import annotations

from pydantic import BaseModel

from ranvier.engines import EngineClient, EngineUnfit, ImageRequest
from ranvier.protocol import Caller
from ranvier.subnets.image.synapse import ImageGeneration
from ranvier.subnets.subnet import Miner, bound_seed


def drawing(request: ImageGeneration, miner: str, caller: str) -> ImageRequest:
    """What ``miner`` must draw for ``caller``."""
    return ImageRequest(
        prompt=request.prompt,
        seed=bound_seed(bytes.fromhex(request.challenge), miner, caller),
        steps=request.steps,
        guidance=request.guidance,
        width=request.width,
        height=request.height,
    )


def reply_of(png: bytes) -> ImageGeneration.Reply:
    """A picture as it travels."""
    return ImageGeneration.Reply(png=png)


class ImageMiner(Miner[ImageGeneration]):
    """Serves the engine's pictures."""

    @property
    def engine(self) -> EngineClient:
        """The engine; raises `EngineUnfit` where none was given."""
        if self.context.engine is None:
            raise EngineUnfit("(none)", "the image subnet needs an image engine; name one with --engine")
        return self.context.engine

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Draw under the bound seed."""
        return reply_of(await self.draw(drawing(request, self.context.hotkey, caller.hotkey)))

    async def draw(self, asked: ImageRequest) -> bytes:
        """One picture of this miner's model, as PNG."""
        return await self.engine.image(asked, model=self.context.model)
