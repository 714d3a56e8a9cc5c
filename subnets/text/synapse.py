"""The text subnet's request and reply."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ranvier.protocol import Reply, Synapse

Tokens = tuple[int, ...]


class TextGeneration(Synapse):
    """Continue a chat with the declared model, under noise bound to ``challenge`` and both hotkeys.

    The seed of seeded-gumbel-v1 is ``bound_seed(challenge, miner's hotkey, caller's hotkey)``.
    """

    system: str = Field(default="", max_length=2000)
    prompt: str = Field(min_length=1, max_length=8000)
    challenge: str = Field(pattern=r"^[0-9a-f]{64}$", description="32 random bytes, hex")
    max_tokens: int = Field(default=48, ge=8, le=1024)
    temperature: float = Field(default=0.9, ge=0.1, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)

    class Reply(Reply):
        """Text and tokens; the end token is among them where the answer ended by itself."""

        text: str = Field(max_length=32_000)
        token_ids: Tokens = Field(max_length=1024)
        logprobs: tuple[float, ...] = Field(default=(), max_length=1024)
        finish_reason: Literal["stop", "length"]
