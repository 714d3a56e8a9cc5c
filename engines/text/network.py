"""A causal language model in memory: loading, prefill, one step of decoding."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ranvier.engines import memory
from ranvier.engines.errors import ModelNotFound, ModelUnsuited, NoRoom
from ranvier.engines.models import Message
from ranvier.engines.text import kernel
from ranvier.engines.text.attention import register
from ranvier.engines.text.cache import SlotCache
from ranvier.engines.text.linear import lay_out
from ranvier.engines.text.packing import Packing, Part
from ranvier.engines.wide import widen

CPU_CACHE: Final = 4 << 30
"""Bytes of system memory that keys and values of one model may take."""
PACK: Final = 4096
"""Tokens of one pass of verification; it bounds the memory of that."""
LOGITS: Final = 1 << 27
"""Logits of one such pass."""
PROBE: Final = 24
"""Tokens on which our attention is held against the model's own when it is loaded."""
ALIKE: Final = 0.99
"""Correlation of the logits of both; kernels differ in the last bits, architectures by far more."""
LETTERS: Final = 16
"""Characters for each token of the context; what is longer is refused unread."""
Floats = npt.NDArray[np.float64]


class Network:
    """A model with its tokenizer. Blocking; owned by one thread."""

    def __init__(self, model: Any, tokenizer: Any, digest: str, dtype: str, device: str) -> None:
        self._model, self._tokenizer = model, tokenizer
        self.digest, self.dtype, self.device = digest, dtype, device

    @classmethod
    def load(
        cls,
        source: str,
        *,
        dtype: str,
        device: str,
        digest: str = "",
        memory_bound: int = memory.UNKNOWN,
    ) -> Network:
        """From a folder or a hub id; safetensors only, no code of the model's. Raises `ModelNotFound`.

        ``memory_bound`` is of bytes, and set later: where weights that are laid out would take more than half of what
        it leaves, or in float32 where bfloat16 is not multiplied, they stay in their file: slower, but there is room
        for requests.
        """
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
        network = cls(model, tokenizer, digest or digest_of(Path(source)), dtype, device)
        widen(model, memory.free(memory_bound) // 2)
        network._check_attention(source)
        lay_out(model, memory.free(memory_bound) // 2)
        network._prepare_kernel()
        return network

    def _check_attention(self, source: str) -> None:
        """Raises `ModelUnsuited` where packed attention leaves out what this architecture adds to plain attention."""
        ids = [self.end_ids[0], *range(min(PROBE, self.vocabulary))]
        with torch.inference_mode():
            self._model.set_attn_implementation("eager")
            plain = _numpy(self._model(input_ids=torch.tensor([ids], device=self.device)).logits[0, -1:])
            self._model.set_attn_implementation(register())
        ((packed,),) = self.prefill([ids], [[0]])
        alike = float(np.corrcoef(plain[0], packed[0])[0, 1])
        if not alike > ALIKE:
            raise ModelUnsuited(source, alike)

    def _prepare_kernel(self) -> None:
        config = self._model.config
        grouped = config.num_attention_heads // config.num_key_value_heads
        kernel.prepare(grouped, self._head_size, self._model.dtype, self.device)

    def pruned(self, layers: int) -> Network:
        """The same weights without the layers after ``layers``: shares all tensors, costs no memory."""
        config = self._model.config.__class__(**{**self._model.config.to_dict(), "num_hidden_layers": layers})
        with torch.device("meta"):
            copy = type(self._model)(config)
        copy.model.embed_tokens, copy.model.norm = self._model.model.embed_tokens, self._model.model.norm
        copy.model.rotary_emb, copy.lm_head = self._model.model.rotary_emb, self._model.lm_head
        copy.model.layers = torch.nn.ModuleList(self._model.model.layers[:layers])
        copy.set_attn_implementation(register())
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
        return int(share * self._free()) // self.token_bytes

    def _free(self) -> int:
        """Bytes, with those that torch holds of a GPU and does not use."""
        if not self.device.startswith("cuda"):
            return min(memory.free(), CPU_CACHE)
        free: int = torch.cuda.mem_get_info(self.device)[0]
        return free + int(torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device))

    @property
    def token_bytes(self) -> int:
        """Memory that one token's keys and values take."""
        config = self._model.config
        width = 2 * config.num_hidden_layers * config.num_key_value_heads * self._head_size
        return int(width * self._model.dtype.itemsize)

    @property
    def _head_size(self) -> int:
        config = self._model.config
        return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)

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

    def prompt(self, messages: Sequence[Message], answer: int) -> list[int]:
        """`encode`, with room for an answer of so many tokens in the context; raises ValueError where there is none."""
        letters = sum(len(turn.content) for turn in messages)
        if letters > LETTERS * self.context:
            raise ValueError(f"{letters} characters do not fit into a context of {self.context} tokens")
        ids = self.encode(messages)
        if len(ids) + answer > self.context:
            raise ValueError(f"{len(ids) + answer} tokens do not fit into a context of {self.context}")
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(
            self._tokenizer.decode(
                list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def token(self, token_id: int) -> str:
        """One token by itself, special ones by their names; part of a character is a replacement character."""
        return str(self._tokenizer.decode([token_id], skip_special_tokens=False))

    def read(self, cache: SlotCache, parts: Sequence[Part]) -> Floats:
        """Read tokens into their slots in one pass; the logits that the parts ask for, shape (logits, vocabulary)."""
        return _numpy(self._forward(Packing(tuple(parts), self.device), cache))

    def prefill(
        self,
        prompts: Sequence[Sequence[int]],
        answers: Sequence[Sequence[int]],
        most: Callable[[], int] = lambda: PACK,
    ) -> Iterator[list[Floats]]:
        """The logits that precede each token of the answers, one array of shape (len(answer), vocabulary) for each row.

        As many rows as fit into ``most()`` tokens are read at once, and their arrays come together. Raises `NoRoom`.
        """
        parts = [
            # What follows the last token is asked for by nobody: it need not be read.
            Part(0, 0, [*prompt, *answer[:-1]], len(answer))
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        while parts:
            pack = _pack(parts, most(), LOGITS // self.vocabulary)
            parts = parts[len(pack) :]
            with self.memory(sum(len(part.tokens) for part in pack)):
                logits = self._forward(Packing(tuple(pack), self.device, cached=False), None)
                begins = [0, *itertools.accumulate(part.logits for part in pack)]
                found = [_numpy(logits[begin:end]) for begin, end in itertools.pairwise(begins)]
            yield found

    def _forward(self, packing: Packing, cache: SlotCache | None) -> torch.Tensor:
        if cache is not None:
            cache.packing = packing
        with torch.inference_mode():
            out = self._model(
                input_ids=packing.ids,
                position_ids=packing.positions[None],
                cache=cache,
                use_cache=cache is not None,
                logits_to_keep=packing.wanted,
                packing=packing,
            )
        logits: torch.Tensor = out.logits[0]
        return logits


def _pack(parts: Sequence[Part], most: int, most_logits: int) -> list[Part]:
    """The first ones, as many as fit into so many tokens and logits; one at least."""
    pack, tokens, logits = list[Part](), 0, 0
    for part in parts:
        tokens, logits = tokens + len(part.tokens), logits + part.logits
        if pack and (tokens > most or logits > most_logits):
            break
        pack.append(part)
    return pack


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


def _numpy(tensor: Any) -> Floats:
    array: Floats = tensor.float().cpu().numpy().astype(np.float64)
    return array
