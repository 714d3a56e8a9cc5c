"""A tiny random model, made on the fly: the same code paths as a real one, in milliseconds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "plugins"))

WORDS = (
    *("<pad>", "<unk>", "<s>", "</s>", "user", "assistant"),
    *("sea", "sky", "bread", "stone", "red", "blue", "runs", "sings"),
)
TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a two-layer Llama and a word tokenizer."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = {word: number for number, word in enumerate(WORDS)} | {f"w{n}": 14 + n for n in range(50)}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", bos_token="<s>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=3, bos_token_id=2, pad_token_id=0,
        initializer_range=0.6,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(str(folder), safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_said(tiny_folder: Path) -> tuple[list[int], Any]:
    """Token ids, and the logits after them that transformers' own model has in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(str(tiny_folder), dtype=torch.bfloat16)
    plain.set_attn_implementation("sdpa")
    ids = list(range(20))
    with torch.inference_mode():
        return ids, plain(input_ids=torch.tensor([ids])).logits[0, -1].double().numpy()


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Any:
    """The tiny model, loaded as any folder is."""
    from ranvier.engines.text.model import CausalText
    from ranvier.engines.text.network import Network

    return CausalText("tiny", Network.load(str(tiny_folder), dtype="float32", device="cpu"))
