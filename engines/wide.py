"""Models of bfloat16 on a processor that does not multiply it: most laptops, and servers of a few years ago."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.functional import linear

LOG: Final = logging.getLogger(__name__)
ABLE: Final = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
"""Whether this processor multiplies bfloat16. It has no public name; where it is not there, the answer is no."""


class WideLinear(torch.nn.Linear):  # type: ignore[misc]  # torch is not typed here
    """`torch.nn.Linear` of bfloat16 that multiplies in a wider dtype."""

    wider = torch.float32

    def forward(self, rows: torch.Tensor) -> Any:
        """As `torch.nn.Linear`."""
        return linear(rows.to(self.wider), *_wide(self)).to(rows.dtype)


class WideConv2d(torch.nn.Conv2d):  # type: ignore[misc]  # torch is not typed here
    """`torch.nn.Conv2d` of bfloat16 that multiplies in a wider dtype."""

    wider = torch.float32

    def forward(self, pixels: torch.Tensor) -> Any:
        """As `torch.nn.Conv2d`."""
        return self._conv_forward(pixels.to(self.wider), *_wide(self)).to(pixels.dtype)


KINDS: Final = {torch.nn.Linear: WideLinear, torch.nn.Conv2d: WideConv2d}


def widen(model: torch.nn.Module, room: int, wider: torch.dtype = torch.float32) -> int:
    """Let the bfloat16 layers of a model on a CPU that does not multiply it do so in ``wider``; returns how many.

    What torch does there takes five to thirty times as long. Sums are of ``wider`` and rounded once, as processors with
    bfloat16 round sums of float32. One result in some thousands has another last bit in another batch, and in float64,
    at two to three times the cost, none: for what must not depend on batch or threads. Each layer keeps its weights in
    ``wider`` besides; none do where that would be more than ``room`` bytes. Weights may still be changed.
    """
    if ABLE():
        return 0
    suited = [one for one in model.modules() if _suits(one)]
    needed = wider.itemsize * sum(one.weight.numel() for one in suited)
    if needed > room:
        LOG.warning(
            "this processor does not multiply bfloat16, and there is no room to keep %d MiB of weights in %s: the "
            "model will be many times slower. Serve it in float32, or give it more memory",
            *(needed >> 20, str(wider).removeprefix("torch.")),
        )
        return 0
    for one in suited:
        one.__class__ = KINDS[type(one)]
        one.wider = wider
        _wide(one)
    return len(suited)


def _suits(module: torch.nn.Module) -> bool:
    if type(module) not in KINDS:
        return False
    return bool(module.weight.dtype == torch.bfloat16 and module.weight.device.type == "cpu")


@dataclass(frozen=True, slots=True)
class _Kept:
    """A tensor in a wider dtype. That which it was made from is held, so that no other can take its address."""

    source: torch.Tensor
    version: int
    wide: torch.Tensor

    @classmethod
    def of(cls, source: torch.Tensor, wider: torch.dtype, kept: _Kept | None) -> _Kept:
        """What is kept, or made anew where ``source`` is another tensor or was changed."""
        version: int = source._version  # noqa: SLF001  torch's own count of changes
        if kept is not None and (kept.source.data_ptr(), kept.version) == (source.data_ptr(), version):
            return kept
        return cls(source.detach(), version, source.detach().to(wider))


def _wide(module: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weights and bias in its wider dtype, made anew after each change of them."""
    weight, bias = module.__dict__.get(_KEPT, (None, None))
    weight = _Kept.of(module.weight, module.wider, weight)
    bias = None if module.bias is None else _Kept.of(module.bias, module.wider, bias)
    module.__dict__[_KEPT] = weight, bias
    return weight.wide, None if bias is None else bias.wide


_KEPT: Final = "_ranvier_wide"
