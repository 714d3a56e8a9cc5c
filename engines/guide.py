"""Models of well-known sizes, as a guide to what a box could serve; numbers as those of Llama 3 and Qwen 2.5."""

from __future__ import annotations

from typing import Final

from ranvier.engines.shape import Shape


def _text(parameters: float, layers: int, kv_heads: int, hidden: int, inner: int, words: int) -> Shape:
    """Heads of 128, 64 where the model is narrow; stored in bf16."""
    size = 64 if hidden <= 2048 else 128
    count = int(parameters * 1e9)
    return Shape(
        *("text", count, 2 * count, "bfloat16", layers, kv_heads, size, hidden, inner, words), context=32768
    )


GUIDE: Final = {
    "1B": _text(1.24, 16, 8, 2048, 8192, 128256),
    "3B": _text(3.21, 28, 8, 3072, 8192, 128256),
    "7B": _text(7.62, 28, 4, 3584, 18944, 152064),
    "14B": _text(14.8, 48, 8, 5120, 13824, 152064),
    "70B": _text(70.6, 80, 8, 8192, 28672, 128256),
}
GUIDE_DTYPES: Final = ("bfloat16", "int8")
"""Eight bits are for engines that quantise, behind ours: vLLM, llama.cpp (Q8_0)."""
