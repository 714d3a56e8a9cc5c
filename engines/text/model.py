"""A text model as the server sees it: batched generation and batched verification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from ranvier.engines.errors import NoRoom
from ranvier.engines.models import (
    SEEDED_GUMBEL,
    Generation,
    ModelInfo,
    ScoreRequest,
    TextRequest,
    TokenEvidence,
)
from ranvier.engines.text.choice import check
from ranvier.engines.text.gumbel import weigh
from ranvier.engines.text.network import PACK, Floats, Network
from ranvier.engines.text.stops import cut
from ranvier.engines.text.writing import CHUNK, OnToken, Writing

IMPOSSIBLE: Final = 1e9
"""The margin of a token that cannot be chosen at all."""


class Prepared(NamedTuple):
    """A request whose prompt was read."""

    request: ScoreRequest
    prompt: list[int]


class CausalText:
    """A `TextModel` over a `Network`. ``room`` is how many tokens may be held; by default what memory allows."""

    def __init__(self, name: str, network: Network, *, room: int | None = None) -> None:
        self._network, self._room = network, room
        self._info = ModelInfo(
            id=name,
            kind="text",
            digest=network.digest,
            dtype=network.dtype,
            device=network.device,
            features=(SEEDED_GUMBEL, "score", "stream", "logprobs"),
            extra={
                "vocabulary": network.vocabulary,
                "context": network.context,
                "chat_template_sha256": network.template_hash,
            },
        )

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        return self._info

    def writing(self, on_token: OnToken | None = None) -> Writing:
        """A batch that requests join and leave one by one."""
        return Writing(self._network, on_token, room=self._room)

    def generate(self, requests: Sequence[TextRequest], on_token: OnToken | None = None) -> list[Generation]:
        """Answer all of these; ``on_token`` names them by place. Raises ValueError and `NoRoom`."""
        writing = self.writing(on_token)
        for place, request in enumerate(requests):
            writing.join(place, request)
        done: dict[int, Generation] = {}
        while writing.size:
            for place, made in writing.step():
                if isinstance(made, NoRoom):
                    raise made
                done[place] = made
        return [done[place] for place in range(len(requests))]

    def score(self, requests: Sequence[ScoreRequest]) -> list[TokenEvidence]:
        """One prefill over prompts and answers; evidence for each answer's tokens."""
        prepared = [self.prepared(request) for request in requests]
        return [one for pack in self.scoring(prepared) for one in pack]

    def prepared(self, request: ScoreRequest) -> Prepared:
        """With its prompt's tokens. Raises ValueError."""
        check(request.sampling)
        prompt = self._network.prompt(request.messages, len(request.token_ids))
        if any(not 0 <= token < self._network.vocabulary for token in request.token_ids):
            raise ValueError("a token id lies outside the vocabulary")
        return Prepared(request, prompt)

    def scoring(
        self, asked: Sequence[Prepared], alone: Callable[[], bool] = lambda: True
    ) -> Iterator[list[TokenEvidence]]:
        """`score` in packs, each read when it is asked for; small ones while not ``alone``. Raises `NoRoom`."""
        prompts = [one.prompt for one in asked]
        answers = [one.request.token_ids for one in asked]
        packs = self._network.prefill(prompts, answers, lambda: PACK if alone() else CHUNK)
        done = 0
        for logits in packs:
            requests = [one.request for one in asked[done : done + len(logits)]]
            done += len(logits)
            yield [self._evidence(request, rows) for request, rows in zip(requests, logits, strict=True)]

    def _evidence(self, request: ScoreRequest, logits: Floats) -> TokenEvidence:
        how = request.sampling
        seen = [
            weigh(row, token, how.seed, position, how.temperature, how.top_p)
            for position, (token, row) in enumerate(zip(request.token_ids, logits, strict=True))
        ]
        return TokenEvidence(
            tuple(one.expected for one in seen),
            tuple(min(one.margin, IMPOSSIBLE) for one in seen),
            tuple(one.logprob for one in seen),
            tuple(one.entropy for one in seen),
            tuple(max(one.lean, -IMPOSSIBLE) for one in seen),
            self._network.end_ids,
            cut(self._network.decode(request.token_ids), how.stop),
        )
