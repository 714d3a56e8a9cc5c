"""How a text miner may try to be paid for work that it did not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pydantic import BaseModel

from ranvier.engines import Generation, Sampling, ScoreRequest
from ranvier.protocol import Caller
from ranvier.subnets.relay import Relay
from ranvier.subnets.subnet import Cheat, bound_seed
from ranvier.subnets.text.miner import TextMiner, messages, reply_of, sampling
from ranvier.subnets.text.synapse import TextGeneration


class Constant(TextMiner):
    """The prefill attack: one cheap text for every prompt, with the true log-probabilities over it."""

    _tokens: tuple[int, ...] = ()

    async def answer(self, request: TextGeneration, caller: Caller) -> BaseModel:
        """The cheap text, cut or repeated to the length that is asked for."""
        if not self._tokens:
            made = await self.generate(request, Sampling(request.max_tokens, 0.0))
            ended = made.finish_reason == "stop"
            self._tokens = made.token_ids[:-1] if ended else made.token_ids
        ids = (self._tokens * request.max_tokens)[: request.max_tokens]
        asked = ScoreRequest(messages(request), Sampling(request.max_tokens), ids)
        (evidence,) = await self.engine.score([asked])
        return reply_of(Generation(evidence.text, ids, evidence.logprob, 0, "length"))


class Replay(TextMiner):
    """Works once, honestly, and gives that answer for ever."""

    _first: BaseModel | None = None

    async def answer(self, request: TextGeneration, caller: Caller) -> BaseModel:
        """The first answer."""
        if self._first is None:
            self._first = await super().answer(request, caller)
        return self._first


class Pruned(TextMiner):
    """The right seed on a model without its last layers: ``context.model`` names it."""


class Cooler(TextMiner):
    """A smaller temperature, which reads better."""

    async def answer(self, request: TextGeneration, caller: Caller) -> BaseModel:
        """Generate at half the temperature."""
        how = sampling(request, self.context.hotkey, caller.hotkey)
        return reply_of(await self.generate(request, replace(how, temperature=request.temperature / 2)))


class Short(TextMiner):
    """Does an eighth of the work and calls it finished."""

    async def answer(self, request: TextGeneration, caller: Caller) -> BaseModel:
        """Generate little."""
        how = replace(
            sampling(request, self.context.hotkey, caller.hotkey), max_tokens=request.max_tokens // 8
        )
        made = await self.generate(request, how)
        return reply_of(replace(made, finish_reason="stop"))


class OwnSeed(TextMiner):
    """Ignores the caller in the seed, so that one answer serves all validators."""

    async def answer(self, request: TextGeneration, caller: Caller) -> BaseModel:
        """Generate under a seed of its own."""
        seed = bound_seed(bytes.fromhex(request.challenge), self.context.hotkey, "")
        how = Sampling(request.max_tokens, request.temperature, request.top_p, seed=seed)
        return reply_of(await self.generate(request, how))


CHEATS: Final[Mapping[str, Cheat]] = {
    "relay": Cheat(Relay, "relay"),
    "constant": Cheat(Constant, "free"),
    "pruned": Cheat(Pruned, "cheaper", model="smollm2-pruned"),
}
"""The ones that play in every localnet."""

MORE_CHEATS: Final[Mapping[str, Cheat]] = {
    "replay": Cheat(Replay, "free"),
    "cooler": Cheat(Cooler, "cheaper"),
    "short": Cheat(Short, "cheaper"),
    "own-seed": Cheat(OwnSeed, "cheaper"),
}
"""Further ones, for tests."""
