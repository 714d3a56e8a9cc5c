"""What a model is made of, read from its configuration and the heads of its weight files; no weights are loaded."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.heads import gguf_head, safetensors_head

BYTES: Final[Mapping[str, int]] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
_STORED: Final = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "I8": "int8", "U8": "int8"}


@dataclass(frozen=True, slots=True)
class Shape:
    """Numbers that memory depends on. Those of attention are 0 where a model has no cache of keys and values."""

    kind: str
    parameters: int
    disk: int
    """Bytes of the weight files."""
    stored: str
    """The type that most weights are stored in; ``gguf`` and ``quantised`` are loaded as they are."""
    layers: int = 0
    kv_heads: int = 0
    head_size: int = 0
    hidden: int = 0
    inner: int = 0
    """Width of the feed-forward layers."""
    vocabulary: int = 0
    context: int = 0

    @property
    def fixed(self) -> bool:
        """Whether it is loaded as it is stored, whatever dtype is asked for."""
        return self.stored in ("gguf", "quantised")

    def weights(self, dtype: str) -> int:
        """Bytes of the loaded weights."""
        return self.disk if self.fixed else self.parameters * BYTES[dtype]

    def token_bytes(self, dtype: str) -> int:
        """Bytes that keys and values of one token take."""
        size = 2 if self.fixed else max(BYTES[dtype], 2)  # eight bits are for weights
        return 2 * self.layers * self.kv_heads * self.head_size * size


def read_shape(source: Path) -> Shape:
    """Of a folder with safetensors, of a diffusers pipeline, or of a GGUF file. Raises `ModelNotFound`."""
    try:
        if source.suffix == ".gguf":
            return _of_gguf(source)
        if (source / "model_index.json").is_file():
            return _of_pipeline(source)
        return _of_folder(source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelNotFound(
            str(source),
            f"its shape cannot be read ({str(error)[:160] or type(error).__name__})",
            "Name a folder with config.json and safetensors, a diffusers pipeline, or a GGUF file.",
        ) from error


def shape_of(config: Mapping[str, Any], counts: Mapping[str, int], disk: int) -> Shape:
    """From a configuration and how many parameters there are of each stored type (F32, BF16 ...)."""
    text: Mapping[str, Any] = config.get("text_config") or config
    stored = max(counts, key=lambda name: counts[name])
    heads = int(text.get("num_attention_heads") or 0)
    hidden = int(text.get("hidden_size") or 0)
    kind = _kind(config)
    return Shape(
        kind=kind,
        parameters=sum(counts.values()),
        disk=disk,
        stored="quantised" if "quantization_config" in config else _STORED.get(stored, stored),
        layers=int(text.get("num_hidden_layers") or 0),
        kv_heads=int(text.get("num_key_value_heads") or heads),
        head_size=int(text.get("head_dim") or (hidden // heads if heads else 0)),
        hidden=hidden,
        inner=int(text.get("intermediate_size") or 4 * hidden),
        vocabulary=int(text.get("vocab_size") or 0),
        context=int(text.get("max_position_embeddings") or 0),
    )


def _kind(config: Mapping[str, Any]) -> str:
    names = " ".join(config.get("architectures") or ())
    if "CausalLM" in names or "ConditionalGeneration" in names:
        return "text"
    return "classify" if "SequenceClassification" in names else "embed"


def _of_folder(folder: Path) -> Shape:
    config = json.loads((folder / "config.json").read_text())
    files = _files(folder)
    return shape_of(config, _counted(files), sum(file.stat().st_size for file in files))


def _files(folder: Path) -> list[Path]:
    """Weight files that are loaded; a folder may hold the same weights in other files, too."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text())["weight_map"].values())
        return [folder / name for name in sorted(names)]
    found = [one for name in _WHOLE if (one := folder / name).is_file()]
    files = found[:1] or sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(f"there are no safetensors in {folder}")
    return files


_WHOLE: Final = ("model.safetensors", "diffusion_pytorch_model.safetensors")


def _of_pipeline(folder: Path) -> Shape:
    """All parts together; what is drawn needs memory for itself, which only a bench can tell."""
    index = json.loads((folder / "model_index.json").read_text())
    parts = [folder / name for name in index if (folder / name / "config.json").is_file()]
    files = [file for part in parts if any(part.glob("*.safetensors")) for file in _files(part)]
    counts = _counted(files)
    stored = _STORED.get(max(counts, key=lambda name: counts[name]), "float32")
    return Shape("image", sum(counts.values()), sum(file.stat().st_size for file in files), stored)


def _counted(files: Iterable[Path]) -> Counter[str]:
    """Parameters by stored type."""
    found: Counter[str] = Counter()
    for file in files:
        for name, tensor in safetensors_head(file).items():
            if name != "__metadata__":
                found[str(tensor["dtype"])] += math.prod(tensor["shape"])
    if not found:
        raise ValueError("the weight files hold no tensors")
    return found


def _of_gguf(file: Path) -> Shape:
    facts, parameters = gguf_head(file)
    family = facts["general.architecture"]
    heads = int(facts[f"{family}.attention.head_count"])
    hidden = int(facts[f"{family}.embedding_length"])
    return Shape(
        kind="text",
        parameters=parameters,
        disk=file.stat().st_size,
        stored="gguf",
        layers=int(facts[f"{family}.block_count"]),
        kv_heads=int(facts.get(f"{family}.attention.head_count_kv", heads)),
        head_size=int(facts.get(f"{family}.attention.key_length", hidden // heads)),
        hidden=hidden,
        inner=int(facts.get(f"{family}.feed_forward_length", 4 * hidden)),
        vocabulary=int(facts.get("tokenizer.ggml.tokens", 0)),
        context=int(facts[f"{family}.context_length"]),
    )
