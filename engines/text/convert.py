"""GGUF to safetensors: once, so that every later load takes less than a second."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise ``gguf`` to bf16 weights in ``folder``, with its tokenizer and chat template."""
    place, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
    # Without `dequantize` the model is marked quantised and refuses to be saved.
    config = GgufConfig(gguf_file=name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        place, gguf_file=name, quantization_config=config, dtype=torch.bfloat16
    )
    model.save_pretrained(str(folder), safe_serialization=True)
    tokenizer.save_pretrained(str(folder))
