"""seeded-gumbel-v1 (docs/seeded-gumbel-v1.md of Ranvier) in vLLM. Importing this imports neither vLLM nor torch."""

from __future__ import annotations

from ranvier_vllm_gumbel.seeded import Seeded

__all__ = ["Seeded"]
