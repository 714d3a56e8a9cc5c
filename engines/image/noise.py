"""Noise that is the same on every device and in every place of a batch."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import torch

DOMAIN: Final = b"ranvier-noise/1\0"


def noise_generator(seed: bytes) -> Any:
    """A generator on the CPU for one picture; every byte of ``seed`` counts."""
    key = int.from_bytes(hashlib.sha256(DOMAIN + seed).digest()[:8], "big") >> 1
    return torch.Generator("cpu").manual_seed(key)
