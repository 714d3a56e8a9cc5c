"""The sentiment network: the MiniLM encoder, low-rank corrections to it, and a three-class head.

The body's weights are those of the embedding model in the store; only the corrections and the head (well
under 3 MB) were trained and ship. Low-rank adaptation: W x + (alpha / r) B A x (Hu et al., 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

LABELS = ("negative", "neutral", "positive")
MAX_TOKENS = 160
"""Longer texts are cut here; a constructed text of two sentences has about 90."""
_ADAPTED = ("query", "key", "value", "dense")


@dataclass(frozen=True, slots=True)
class Shape:
    """What of the body is used and how large the corrections are."""

    layers: int
    rank: int = 16
    alpha: float = 32.0


class Adapted(nn.Module):  # type: ignore[misc]
    """A frozen linear map with a trained low-rank correction."""

    def __init__(self, base: nn.Linear, shape: Shape) -> None:
        super().__init__()
        self.base, self.scale = base, shape.alpha / shape.rank
        self.down = nn.Parameter(torch.randn(shape.rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, shape.rank))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        correction: Tensor = (x @ self.down.T) @ self.up.T
        return self.base(x) + self.scale * correction

    def merged(self) -> nn.Linear:
        """The same map as one linear layer, for serving."""
        with torch.no_grad():
            self.base.weight += self.scale * (self.up @ self.down)
        return self.base


class SentimentNetwork(nn.Module):  # type: ignore[misc]
    """Encoder states pooled (mean and first) into three logits; ``temperature`` is fitted after training."""

    def __init__(self, body: Path, shape: Shape, attention: str = "sdpa") -> None:
        super().__init__()
        from transformers import AutoModel

        self.encoder = AutoModel.from_pretrained(body, attn_implementation=attention)
        self.encoder.pooler = None
        self.encoder.encoder.layer = self.encoder.encoder.layer[: shape.layers]
        self.encoder.requires_grad_(False)  # noqa: FBT003 - torch's signature
        _adapt(self.encoder.encoder, shape)
        width = self.encoder.config.hidden_size
        self.hidden = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, len(LABELS))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask (batch, length) to logits (batch, 3) at temperature 1."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weight).sum(1) / weight.sum(1)
        hidden = torch.tanh(self.hidden(torch.cat([mean, states[:, 0]], dim=-1)))
        logits: Tensor = self.out(hidden)
        return logits

    def trained(self) -> dict[str, Tensor]:
        """Everything that is not the body's: what a weight file holds."""
        return {name: value for name, value in self.state_dict().items() if _is_trained(name)}


def _is_trained(name: str) -> bool:
    return not name.startswith("encoder.") or name.endswith((".down", ".up"))


def _adapt(module: nn.Module, shape: Shape) -> None:
    """Put an `Adapted` in place of every linear map of the encoder layers."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear) and name in _ADAPTED:
            setattr(module, name, Adapted(child, shape))
        else:
            _adapt(child, shape)


def merge(module: nn.Module) -> None:
    """Fold every correction into its linear map; afterwards the network is as fast as the bare body."""
    for name, child in list(module.named_children()):
        if isinstance(child, Adapted):
            setattr(module, name, child.merged())
        else:
            merge(child)
