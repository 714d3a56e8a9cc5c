"""The default miner: the declared model, under the noise that the challenge and both hotkeys give."""

from __future__ import annotations

from pydantic import BaseModel

from ranvier.engines import EngineClient, EngineUnfit, Generation, Message, Sampling, TextRequest
from ranvier.protocol import Caller
from ranvier.subnets.subnet import Miner, bound_seed
from ranvier.subnets.text.synapse import TextGeneration


def messages(request: TextGeneration) -> tuple[Message, ...]:
    """The chat that a request stands for."""
    system = (Message("system", request.system),) if request.system else ()
    return (*system, Message("user", request.prompt))


def sampling(request: TextGeneration, miner: str, caller: str) -> Sampling:
    """How tokens must be chosen by ``miner`` for ``caller``."""
    seed = bound_seed(bytes.fromhex(request.challenge), miner, caller)
    return Sampling(request.max_tokens, request.temperature, request.top_p, seed=seed)


def reply_of(made: Generation) -> TextGeneration.Reply:
    """A generation as it travels."""
    finish = "length" if made.finish_reason == "length" else "stop"
    return TextGeneration.Reply(
        text=made.text, token_ids=made.token_ids, logprobs=made.logprobs, finish_reason=finish
    )


class TextMiner(Miner[TextGeneration]):
    """Serves the engine's answers."""

    @property
    def engine(self) -> EngineClient:
        """The engine; raises `EngineUnfit` where none was given."""
        if self.context.engine is None:
            raise EngineUnfit("(none)", "the text subnet needs a text engine; name one with --engine")
        return self.context.engine

    async def answer(self, request: TextGeneration, caller: Caller) -> BaseModel:
        """Generate under the bound seed."""
        return reply_of(await self.generate(request, sampling(request, self.context.hotkey, caller.hotkey)))

    async def generate(self, request: TextGeneration, how: Sampling) -> Generation:
        """One generation of this miner's model."""
        return await self.engine.generate(TextRequest(messages(request), how), model=self.context.model)
