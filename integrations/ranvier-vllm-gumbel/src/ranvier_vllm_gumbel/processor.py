"""The logits processor that vLLM loads: its interface of version 1 (vLLM 0.11 and later; run with 0.32).

vLLM finds it by the entry point ``vllm.logits_processors``. For each step it calls `SeededGumbel.update_state` with
what joined, left or moved in the batch, and `SeededGumbel.apply` with the logits, as float32, before penalties,
temperature and cuts. The log-probabilities that it tells are those of the raw logits (``--logprobs-mode raw_logprobs``,
the default).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import torch
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, process_dict_updates

from ranvier_vllm_gumbel.seeded import Seeded

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.config import VllmConfig

THREADS: Final = min(16, os.cpu_count() or 1)


class SeededGumbel(LogitsProcessor):
    """Leaves a request with a seed one token, the seeded choice; vLLM may sample among that as it likes."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        self._rows: dict[int, Seeded] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gumbel")

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Raises ValueError, which callers get as a refusal, for a request whose sampling could not be proven."""
        Seeded.of(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """No: it decides, at every temperature."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the rows of the batch."""
        process_dict_updates(self._rows, batch_update, lambda params, _, said: Seeded.of(params, said))

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Choose for the rows that have a seed; each row takes a core for its noise."""
        if not self._rows:
            return logits
        rows = torch.tensor(list(self._rows), device=logits.device)
        seen = logits.index_select(0, rows).to("cpu", torch.float32).numpy()
        chosen = self._threads.map(lambda one, row: one.choose(row), self._rows.values(), seen)
        tokens = torch.tensor(list(chosen), device=logits.device)
        logits[rows] = float("-inf")
        logits[rows, tokens] = 0.0
        return logits
