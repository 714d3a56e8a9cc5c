"""The default miner: the declared model, from the noise that the challenge and both hotkeys give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ranvier.engines import EngineClient, EngineUnfit, ImageRequest, Trace
from ranvier.protocol import Caller, Code, Handler, Refusal, Synapse
from ranvier.subnets.image.opening import KeptLatents, OpenLatents
from ranvier.subnets.image.synapse import ImageGeneration
from ranvier.subnets.subnet import Context, Miner, bound_seed
from ranvier.subnets.verification.merkle import root_of


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


class ImageMiner(Miner[ImageGeneration]):
    """Serves the engine's pictures, and opens their latents to validators that check single steps."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.kept = KeptLatents()

    @property
    def engine(self) -> EngineClient:
        """The engine; raises `EngineUnfit` where none was given."""
        if self.context.engine is None:
            raise EngineUnfit("(none)", "the image subnet needs an image engine; name one with --engine")
        return self.context.engine

    async def answer(self, request: ImageGeneration, caller: Caller) -> BaseModel:
        """Draw under the bound seed."""
        asked = drawing(request, self.context.hotkey, caller.hotkey)
        if request.commit:
            return await self.committed(request, caller, await self.trace(asked))
        return await self.reply(await self.draw(asked))

    def further(self) -> Mapping[type[Synapse], Handler[Any]]:
        """Openings."""
        return {OpenLatents: self.open}

    async def open(self, request: OpenLatents, caller: Caller) -> BaseModel:
        """Latents of a picture that this caller got; others learn nothing of it."""
        found = self.kept.open((caller.hotkey, request.challenge), request.numbers)
        if found is None:
            raise Refusal(Code.DECLINED, "no latents are kept for this challenge and caller, or no longer")
        return found

    async def draw(self, asked: ImageRequest) -> bytes:
        """One picture of this miner's model, as PNG."""
        return await self.engine.image(asked, model=self.context.model)

    async def trace(self, asked: ImageRequest) -> Trace:
        """The same, with its latents."""
        return (await self.engine.traces([asked], model=self.context.model))[0]

    async def reply(
        self, png: bytes, root: bytes | None = None, *, dtype: str | None = None
    ) -> ImageGeneration.Reply:
        """As it travels; it declares the engine's dtype where none is given."""
        if dtype is None:
            dtype = (await self.engine.require("image", model=self.context.model)).dtype
        return ImageGeneration.Reply.model_validate({"png": png, "dtype": dtype, "root": root})

    async def committed(self, request: ImageGeneration, caller: Caller, trace: Trace) -> BaseModel:
        """Keep the latents and commit to them."""
        self.kept.keep((caller.hotkey, request.challenge), trace.latents)
        return await self.reply(trace.png, root_of(trace.latents))
