"""The image subnet's request and reply."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from ranvier.protocol import Reply, Synapse

MAX_PNG: Final = 4 << 20
"""Bytes of the largest picture."""


class ImageGeneration(Synapse):
    """Draw ``prompt`` with the declared model, from noise bound to ``challenge`` and both hotkeys.

    The noise's seed is ``bound_seed(challenge, miner's hotkey, caller's hotkey)``; no request carries a seed.
    """

    max_reply: ClassVar[int] = 2 * MAX_PNG
    prompt: str = Field(min_length=1, max_length=2000)
    challenge: str = Field(pattern=r"^[0-9a-f]{64}$", description="32 random bytes, hex")
    steps: int = Field(default=12, ge=1, le=100)
    guidance: float = Field(default=2.0, ge=0, le=30)
    width: int = Field(default=32, ge=8, le=1024, description="pixels")
    height: int = Field(default=32, ge=8, le=1024, description="pixels")

    commit: bool = Field(default=False, description="keep the latents of every step, and commit to them")

    class Reply(Reply):
        """The picture as a PNG file, base64 in JSON; what it says of itself counts for nothing, only its pixels do.

        ``dtype`` is what the miner's model computes in: verifiers compute in the same. Without it nothing is earned.
        """

        png: bytes = Field(max_length=MAX_PNG)
        dtype: str = Field(default="", max_length=16, description="as torch names it, e.g. bfloat16")
        root: bytes | None = Field(
            default=None,
            min_length=32,
            max_length=32,
            description="commitment to the latents after each step, where it was asked for",
        )
