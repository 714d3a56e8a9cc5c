"""A causal language model in memory: loading, prefill, one step of decoding. The only file here that imports torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ranvier.engines.errors import ModelNotFound, NoRoom
from ranvier.engines.models import Message
from ranvier.engines.text.attention import register
from ranvier.engines.text.cache import growing_cache

CPU_CACHE: Final = 4 << 30
"""Bytes of system memory that keys and values of one model may take."""
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
                source,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation=register(),
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

    @contextmanager
    def memory(self, tokens: int) -> Iterator[None]:
        """Around work on so many tokens: raises `NoRoom` where the device or the system has no memory for it."""
        try:
            yield
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise NoRoom(tokens) from error
        except RuntimeError as error:  # what torch raises for the CPU has no class of its own
            if "can't allocate memory" not in str(error):
                raise
            raise NoRoom(tokens) from error

    def room(self, share: float) -> int:
        """Tokens whose keys and values fit into that share of what is free: of a GPU's memory, or of `CPU_CACHE`."""
        cuda = self.device.startswith("cuda")
        free = torch.cuda.mem_get_info(self.device)[0] if cuda else CPU_CACHE
        return int(share * free) // self.token_bytes

    @property
    def token_bytes(self) -> int:
        """Memory that one token's keys and values take."""
        config = self._model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        width = 2 * config.num_hidden_layers * config.num_key_value_heads * size
        return int(width * self._model.dtype.itemsize)

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
        cache = growing_cache(self._model.config)
        with torch.inference_mode():
            out = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=_positions(mask),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                row_lengths=[len(prompt) for prompt in prompts],
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
                row_lengths=[length + 1 for length in decoding.lengths],
            )
        decoding.lengths = [length + 1 for length in decoding.lengths]
        decoding.logits = _numpy(out.logits[:, -1])

    def extend(self, decoding: Decoding, tokens: Sequence[int]) -> None:
        """Read more of the one prompt of ``decoding``; its logits become those after the last of ``tokens``."""
        decoding.mask = torch.cat([decoding.mask, decoding.mask.new_ones((1, len(tokens)))], dim=1)
        begin = decoding.lengths[0]
        with torch.inference_mode():
            out = self._model(
                input_ids=torch.tensor([list(tokens)], device=self.device),
                attention_mask=decoding.mask,
                position_ids=torch.arange(begin, begin + len(tokens), device=self.device)[None],
                past_key_values=decoding.cache,
                use_cache=True,
                logits_to_keep=1,
                row_lengths=[begin + len(tokens)],
            )
        decoding.lengths = [begin + len(tokens)]
        decoding.logits = _numpy(out.logits[:, -1])

    def join(self, decoding: Decoding, others: Decoding) -> None:
        """Put the rows of ``others`` below; the shorter get padding on their left, which nobody attends to."""
        width = max(decoding.mask.shape[1], others.mask.shape[1])
        with torch.inference_mode():
            for mine, theirs in zip(decoding.cache.layers, others.cache.layers, strict=True):
                mine.keys = torch.cat([_widened(mine.keys, width), _widened(theirs.keys, width)])
                mine.values = torch.cat([_widened(mine.values, width), _widened(theirs.values, width)])
            masks = [
                torch.nn.functional.pad(each.mask, (width - each.mask.shape[1], 0))
                for each in (decoding, others)
            ]
            decoding.mask = torch.cat(masks)
        decoding.lengths = [*decoding.lengths, *others.lengths]
        decoding.logits = np.concatenate([decoding.logits, others.logits])

    def keep(self, decoding: Decoding, rows: Sequence[int]) -> None:
        """Drop all rows but these, in this order, and the padding that all of them have."""
        index = torch.tensor(list(rows), device=self.device)
        decoding.cache.batch_select_indices(index)
        decoding.mask = decoding.mask[index]
        lead = int(decoding.mask.argmax(dim=1).min())
        if lead:
            decoding.mask = decoding.mask[:, lead:]
            for layer in decoding.cache.layers:
                layer.keys, layer.values = layer.keys[:, :, lead:], layer.values[:, :, lead:]
        decoding.lengths = [decoding.lengths[row] for row in rows]
        decoding.logits = decoding.logits[list(rows)]

    def prefill(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> list[Floats]:
        """For each row the logits that precede each token of its answer, shape (len(answer), vocabulary)."""
        ids, mask = self._pad([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)])
        with torch.inference_mode():
            hidden = self._model.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=_positions(mask),
                use_cache=False,
                row_lengths=[
                    len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)
                ],
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


def _widened(states: Any, width: int) -> Any:
    """Keys or values, shape (rows, heads, positions, size), with so many positions."""
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[2], 0))


def _positions(mask: Any) -> Any:
    return (mask.cumsum(-1) - 1).clamp(min=0)


def _numpy(tensor: Any) -> Floats:
    array: Floats = tensor.float().cpu().numpy().astype(np.float64)
    return array
