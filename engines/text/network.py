"""A causal language model in memory: loading, prefill, one step of decoding. The only file here that imports torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.models import Message

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Decoding:
    """A batch that is being decoded: left-padded, one cache, one row for each request."""

    cache: Any
    mask: Any
    lengths: list[int]
    logits: Floats


class Network:
    """A model with its tokenizer. Blocking; owned by one thread."""

    def __init__(self, model: Any, tokenizer: Any, digest: str, dtype: str, device: str) -> None:
        self._model, self._tokenizer = model, tokenizer
        self.digest, self.dtype, self.device = digest, dtype, device

    @classmethod
    def load(cls, source: str, *, dtype: str, device: str, digest: str = "") -> Network:
        """From a folder or a hub id; safetensors only, no code of the model's. Raises `ModelNotFound`."""
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelNotFound(
                source,
                str(error).splitlines()[0][:200],
                "Name a folder with safetensors weights, or a hub id.",
            ) from error
        model.eval().to(device)
        return cls(model, tokenizer, digest or digest_of(Path(source)), dtype, device)

    def pruned(self, layers: int) -> Network:
        """The same weights without the layers after ``layers``: shares all tensors, costs no memory."""
        config = self._model.config.__class__(**{**self._model.config.to_dict(), "num_hidden_layers": layers})
        with torch.device("meta"):
            copy = type(self._model)(config)
        copy.model.embed_tokens, copy.model.norm = self._model.model.embed_tokens, self._model.model.norm
        copy.model.rotary_emb, copy.lm_head = self._model.model.rotary_emb, self._model.lm_head
        copy.model.layers = torch.nn.ModuleList(self._model.model.layers[:layers])
        copy.eval()
        return Network(copy, self._tokenizer, f"{self.digest}-{layers}", self.dtype, self.device)

    @property
    def layers(self) -> int:
        """How many decoder layers there are."""
        return int(self._model.config.num_hidden_layers)

    @property
    def vocabulary(self) -> int:
        """How many logits there are."""
        return int(self._model.config.vocab_size)

    @property
    def context(self) -> int:
        """The longest sequence, in tokens."""
        return int(self._model.config.max_position_embeddings)

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Token ids that end an answer."""
        ids = self._model.generation_config.eos_token_id
        found = ids if isinstance(ids, list) else [ids if ids is not None else self._tokenizer.eos_token_id]
        return tuple(int(one) for one in found)

    @property
    def template_hash(self) -> str:
        """SHA-256 hex of the chat template."""
        return hashlib.sha256((self._tokenizer.chat_template or "").encode()).hexdigest()

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a chat, up to where the assistant's answer begins."""
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(
            self._tokenizer.decode(
                list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def start(self, prompts: Sequence[Sequence[int]]) -> Decoding:
        """Read the prompts; ``logits`` of the result are for each row's first token, shape (rows, vocabulary)."""
        ids, mask = self._pad(prompts)
        cache = DynamicCache(config=self._model.config)
        with torch.inference_mode():
            out = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=_positions(mask),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return Decoding(cache, mask, [len(prompt) for prompt in prompts], _numpy(out.logits[:, -1]))

    def step(self, decoding: Decoding, tokens: Sequence[int]) -> None:
        """Append one token to each row; ``decoding.logits`` become those of the next."""
        rows = len(tokens)
        decoding.mask = torch.cat([decoding.mask, decoding.mask.new_ones((rows, 1))], dim=1)
        positions = torch.tensor([[length] for length in decoding.lengths], device=self.device)
        with torch.inference_mode():
            out = self._model(
                input_ids=torch.tensor([[token] for token in tokens], device=self.device),
                attention_mask=decoding.mask,
                position_ids=positions,
                past_key_values=decoding.cache,
                use_cache=True,
            )
        decoding.lengths = [length + 1 for length in decoding.lengths]
        decoding.logits = _numpy(out.logits[:, -1])

    def keep(self, decoding: Decoding, rows: Sequence[int]) -> None:
        """Drop all rows but these, in this order."""
        index = torch.tensor(list(rows), device=self.device)
        decoding.cache.batch_select_indices(index)
        decoding.mask = decoding.mask[index]
        decoding.lengths = [decoding.lengths[row] for row in rows]
        decoding.logits = decoding.logits[list(rows)]

    def prefill(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> list[Floats]:
        """For each row the logits that precede each token of its answer, shape (len(answer), vocabulary)."""
        ids, mask = self._pad([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)])
        with torch.inference_mode():
            hidden = self._model.model(
                input_ids=ids, attention_mask=mask, position_ids=_positions(mask), use_cache=False
            ).last_hidden_state
            return [
                _numpy(self._model.lm_head(row[-len(answer) - 1 : -1]))
                if answer
                else np.zeros((0, self.vocabulary))
                for row, answer in zip(hidden, answers, strict=True)
            ]

    def _pad(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Left-padded ids and mask, so that the newest token of every row stands in the last column."""
        width = max(len(row) for row in rows)
        filler = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[filler] * (width - len(row)) + list(row) for row in rows], device=self.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.device)
        return ids, mask


def digest_of(folder: Path) -> str:
    """SHA-256 hex over the names and contents of a model folder's files; empty where it is no folder (a hub id)."""
    if not folder.is_dir():
        return ""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in {".safetensors", ".json", ".jinja", ".txt"} and path.name != "manifest.json":
            with path.open("rb") as file:
                total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _positions(mask: Any) -> Any:
    return (mask.cumsum(-1) - 1).clamp(min=0)


def _numpy(tensor: Any) -> Floats:
    array: Floats = tensor.float().cpu().numpy().astype(np.float64)
    return array
