"""Linear layers in bfloat16 on a CPU whose weights lie as the matrix kernels read them."""

from __future__ import annotations

from typing import Any, Final

import torch

from ranvier.engines.wide import ABLE

# What torch.compile makes of a linear layer on a CPU. It has no public name; a torch without it keeps plain layers.
LAY_OUT: Final[Any] = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
MULTIPLY: Final[Any] = getattr(torch.ops.mkldnn, "_linear_pointwise", None)

ROWS: Final = 32
"""Rows for which weights are laid out: a full batch, one token each. Other numbers of rows read the same layout."""
PROBES: Final = (1, 3, ROWS)
"""Numbers of rows on which a laid out layer is held against the plain one."""


class LaidOut(torch.nn.Module):  # type: ignore[misc]  # torch is not typed here
    """`torch.nn.Linear` with its weights laid out once; the plain kernel does that again at every call.

    That is a third of the time of a step while few write, and a seventh of it while 32 do. The bits are the same. So is
    the size, but plain weights stay in their file, where the system may drop and share them, and these do not.
    Its `copy.deepcopy` is a plain layer: a model is copied to be changed, and nothing can be changed here.
    """

    def __init__(self, plain: torch.nn.Linear) -> None:
        super().__init__()
        self._weight = LAY_OUT(plain.weight.detach(), ROWS)
        self._bias = plain.bias

    def forward(self, rows: torch.Tensor) -> Any:
        """As `torch.nn.Linear`."""
        return MULTIPLY(rows, self._weight, self._bias, "none", [], "")

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.nn.Linear:
        weight = self._weight.to_dense()
        made = torch.nn.Linear(
            weight.shape[1], weight.shape[0], bias=self._bias is not None, dtype=weight.dtype
        )
        made.weight.data = weight
        if self._bias is not None:
            made.bias.data = self._bias.detach().clone()
        made.requires_grad_(requires_grad=False)
        memo[id(self)] = made
        return made


def lay_out(model: torch.nn.Module, room: int) -> int:
    """Exchange the linear layers of a model for laid out ones; returns how many.

    Only plain bfloat16 layers on a CPU that multiplies bfloat16, and only those whose results stay the same to the
    bit: an answer must not depend on whether this was done. None where they would take more than ``room`` bytes.
    """
    if sum(module.weight.nbytes for module in model.modules() if _suits(module)) > room:
        return 0
    done = 0
    with torch.inference_mode():
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if not _suits(child):
                    continue
                made = LaidOut(child)
                if _alike(child, made):
                    setattr(parent, name, made)
                    done += 1
    return done


def _suits(module: torch.nn.Module) -> bool:
    return (
        type(module) is torch.nn.Linear
        and module.weight.dtype == torch.bfloat16
        and module.weight.device.type == "cpu"
        and None not in (LAY_OUT, MULTIPLY)
        and bool(ABLE())
    )


def _alike(plain: torch.nn.Module, made: LaidOut) -> bool:
    source = torch.Generator().manual_seed(1)
    width = int(plain.in_features)
    for rows in PROBES:
        probe = torch.randn((rows, width), generator=source).bfloat16()
        if not torch.equal(plain(probe), made(probe)):
            return False
    return True
