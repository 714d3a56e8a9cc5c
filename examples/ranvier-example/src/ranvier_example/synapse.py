"""What travels: a challenge there, factors back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ranvier import protocol

Factors = Annotated[tuple[Annotated[int, Field(ge=2, lt=2**64)], ...], Field(max_length=64)]


class Puzzle(protocol.Synapse):
    """Factor the ``numbers`` numbers that `ranvier_example.numbers.derive` makes of the bound seed."""

    challenge: str = Field(pattern=r"^[0-9a-f]{64}$", description="32 random bytes, hex")
    numbers: int = Field(ge=1, le=64)

    class Reply(protocol.Reply):
        """For each number its prime factors; empty where it was not solved."""

        factors: tuple[Factors, ...] = Field(max_length=64)
