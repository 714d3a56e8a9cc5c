"""Ways of answering the same requests, from honest to cheapest: what thresholds are made from and proven against."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ranvier.engines import Message, Sampling, ScoreRequest, TextRequest, TokenEvidence
from ranvier.subnets.text.families import compose
from ranvier.subnets.text.made import Made, Way
from ranvier.subnets.text.padded import in_generate

if TYPE_CHECKING:
    from ranvier.engines.text.model import CausalText
    from ranvier.engines.text.network import Network

BATCH: Final = 16
ALONE: Final = "one by one"
INT8: Final = "8-bit weights"
INT4: Final = "4-bit weights"
HALF: Final = "half the temperature"
NINE: Final = "0.9 of the temperature"
RELAY: Final = "relay"
PREFILL: Final = "prefill attack"


def requests(count: int, tokens: int, seed: str, temperature: float = 0.9) -> list[TextRequest]:
    """Prompts of the subnet's own families, each under a seed of its own."""
    rng = random.Random(seed)
    return [
        TextRequest(
            (Message("user", compose(rng).text),),
            Sampling(tokens, temperature, seed=hashlib.sha256(rng.randbytes(8)).digest()),
        )
        for _ in range(count)
    ]


def judged(verifier: CausalText, asked: Sequence[TextRequest], made: Sequence[Made]) -> list[TokenEvidence]:
    """One batched prefill for every `BATCH` answers."""
    wanted = [
        ScoreRequest(one.messages, one.sampling, answer.token_ids)
        for one, answer in zip(asked, made, strict=True)
    ]
    return [
        seen
        for start in range(0, len(wanted), BATCH)
        for seen in verifier.score(wanted[start : start + BATCH])
    ]


def in_batches(model: CausalText, size: int = BATCH) -> Way:
    """As an engine does that batches ``size`` requests."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        return [
            Made.of(made)
            for start in range(0, len(asked), size)
            for made in model.generate(asked[start : start + size])
        ]

    return answer


def quantised(network: Network, bits: int) -> Network:
    """The same model with every linear weight rounded to ``bits`` bits, one scale for each output row."""
    import torch

    from ranvier.engines.text.network import Network

    model = copy.deepcopy(network._model)  # noqa: SLF001  an engine that cheats
    levels = 2 ** (bits - 1) - 1
    for module in model.model.layers.modules():
        if isinstance(module, torch.nn.Linear):
            weight = module.weight.data.float()
            scale = weight.abs().amax(dim=1, keepdim=True) / levels
            module.weight.data = ((weight / scale).round() * scale).to(module.weight.dtype)
    return Network(model, network._tokenizer, "", network.dtype, network.device)  # noqa: SLF001


def cooler(honest: Way, share: float) -> Way:
    """At ``share`` of the temperature."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        return honest(
            [
                replace(one, sampling=replace(one.sampling, temperature=share * one.sampling.temperature))
                for one in asked
            ]
        )

    return answer


def relayed(honest: Way) -> Way:
    """Somebody else's honest answers to the same prompts: under another hotkey, so under another seed."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        theirs = [hashlib.sha256(b"another" + (one.sampling.seed or b"")).digest() for one in asked]
        return honest(
            [
                replace(one, sampling=replace(one.sampling, seed=seed))
                for one, seed in zip(asked, theirs, strict=True)
            ]
        )

    return answer


def replayed(honest: Way) -> Way:
    """One honest answer, for ever."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        return honest(asked[:1]) * len(asked)

    return answer


def constant(model: CausalText) -> Way:
    """One cheap text for every prompt, repeated to the length that is asked for."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        (made,) = model.generate([replace(asked[0], sampling=Sampling(asked[0].sampling.max_tokens, 0.0))])
        ids = made.token_ids[:-1] if made.finish_reason == "stop" else made.token_ids
        ids = (ids * asked[0].sampling.max_tokens)[: asked[0].sampling.max_tokens]
        (seen,) = model.score([ScoreRequest(asked[0].messages, asked[0].sampling, ids)])
        return [Made(ids, "length", seen.text)] * len(asked)

    return answer


def prefilled(cheap: CausalText, model: CausalText) -> Way:
    """The prefill attack: what a cheap model likes best, with the true log-probabilities of one prefill over it."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        greedy = [replace(one, sampling=Sampling(one.sampling.max_tokens, 0.0)) for one in asked]
        drafts = [Made.of(made) for made in cheap.generate(greedy)]
        return [
            replace(draft, logprobs=seen.logprob)
            for draft, seen in zip(drafts, judged(model, asked, drafts), strict=True)
        ]

    return answer


def repaired(cheap: Way, model: CausalText, wide: float = 1.0) -> Way:
    """A cheap model's text, put right by one true prefill wherever the margin is wide."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        drafts = cheap(asked)
        fixed = []
        for draft, seen in zip(drafts, judged(model, asked, drafts), strict=True):
            ids = [
                expected if margin > wide else token
                for token, expected, margin in zip(draft.token_ids, seen.expected, seen.margin, strict=True)
            ]
            ends = [place for place, token in enumerate(ids) if token in seen.end_token_ids]
            fixed.append(tuple(ids[: ends[0] + 1] if ends else ids))
        texts = judged(model, asked, [Made(ids, "", "") for ids in fixed])
        return [
            Made(ids, "stop" if ids[-1] in seen.end_token_ids else "length", seen.text)
            for ids, seen in zip(fixed, texts, strict=True)
        ]

    return answer


def ended(honest: Way, end: int, share: float = 0.5) -> Way:
    """Honest to the middle, and there the end token."""

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        short = [
            replace(one, sampling=replace(one.sampling, max_tokens=int(share * one.sampling.max_tokens)))
            for one in asked
        ]
        return [
            made if made.finish_reason == "stop" else Made((*made.token_ids[:-1], end), "stop", made.text)
            for made in honest(short)
        ]

    return answer


def honest_ways(network: Network, other: Network) -> dict[str, Way]:
    """Ways that a validator must accept; ``other`` is the same model in another dtype."""
    from ranvier.engines.text.model import CausalText

    model, wider = CausalText("honest", network), CausalText("other", other)
    return {
        f"{network.dtype}, batches of 16": in_batches(model, 16),
        f"{network.dtype}, batches of 5": in_batches(model, 5),
        f"{network.dtype}, padded in transformers' generate": in_generate(network, 16),
        f"{network.dtype}, {ALONE}": in_batches(model, 1),
        f"{other.dtype}, batches of 16": in_batches(wider, 16),
    }


def cheap_ways(network: Network) -> dict[str, Way]:
    """Ways that earn nothing."""
    from ranvier.engines.text.model import CausalText

    model = CausalText("honest", network)
    honest, most = in_batches(model), network.layers
    half = CausalText("half", network.pruned(most // 2))
    pruned = in_batches(CausalText("pruned", network.pruned(most * 13 // 15)))
    return {
        INT8: in_batches(CausalText("int8", quantised(network, 8))),
        INT4: in_batches(CausalText("int4", quantised(network, 4))),
        f"{most * 13 // 15} of {most} layers": pruned,
        "another model (half the layers)": in_batches(half),
        HALF: cooler(honest, 0.5),
        "0.7 of the temperature": cooler(honest, 0.7),
        "0.8 of the temperature": cooler(honest, 0.8),
        NINE: cooler(honest, 0.9),
        "0.95 of the temperature": cooler(honest, 0.95),
        "constant text": constant(model),
        PREFILL: prefilled(half, model),
        "replay": replayed(honest),
        RELAY: relayed(honest),
        "pruned, repaired where the margin is wide": repaired(pruned, model),
        "early end": ended(honest, network.end_ids[0]),
    }
