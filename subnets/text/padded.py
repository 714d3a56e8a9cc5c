"""Another honest engine: the same weights through transformers' own `generate`, padded, with a logits processor."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ranvier.engines import TextRequest
from ranvier.subnets.text.made import Made, Way

if TYPE_CHECKING:
    from ranvier.engines.text.network import Network


def in_generate(network: Network, size: int) -> Way:
    """As a miner does that puts ``size`` requests at a time into `generate`."""
    model = copy.deepcopy(network._model)  # noqa: SLF001  the weights of an engine, in another engine
    model.set_attn_implementation("sdpa")

    def answer(asked: Sequence[TextRequest]) -> list[Made]:
        return [
            made
            for start in range(0, len(asked), size)
            for made in _batch(network, model, asked[start : start + size])
        ]

    return answer


def _batch(network: Network, model: Any, asked: Sequence[TextRequest]) -> list[Made]:
    import torch

    prompts = [network.encode(one.messages) for one in asked]
    longest, end = max(map(len, prompts)), network.end_ids[0]
    ids = torch.tensor([[end] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    most = max(one.sampling.max_tokens for one in asked)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids.to(network.device),
            attention_mask=mask.to(network.device),
            max_new_tokens=most,
            do_sample=False,
            logits_processor=[_Seeded(asked, longest)],
            pad_token_id=end,
        )
    return [
        _made(network, row[longest:].tolist(), one.sampling.max_tokens)
        for row, one in zip(out, asked, strict=True)
    ]


def _made(network: Network, ids: Sequence[int], most: int) -> Made:
    ends = [place for place, token in enumerate(ids[:most]) if token in network.end_ids]
    kept = tuple(ids[: ends[0] + 1] if ends else ids[:most])
    return Made(kept, "stop" if ends else "length", network.decode(kept))


class _Seeded:
    """seeded-gumbel-v1 as a logits processor: only the seeded choice is left."""

    def __init__(self, asked: Sequence[TextRequest], prompt: int) -> None:
        self._asked, self._prompt = asked, prompt

    def __call__(self, ids: Any, logits: Any) -> Any:
        """Called by `generate` for each position, with what was written so far."""
        import numpy as np
        import torch

        from ranvier.engines.text.gumbel import pick

        only = torch.full_like(logits, -torch.inf)
        for row, one in enumerate(self._asked):
            how = one.sampling
            numbers = logits[row].float().cpu().numpy().astype(np.float64)
            only[row, pick(numbers, how.seed, ids.shape[1] - self._prompt, how.temperature, how.top_p)] = 0
        return only
