"""What is asked, and how an honest miner answers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from itertools import islice

from pydantic import BaseModel, Field

from ranvier.protocol import Caller, Reply, Synapse
from ranvier.subnets import Miner, SubnetSettings, bound_seed


class PuzzleSettings(SubnetSettings):
    """Settings of the puzzle subnet."""

    deadline: float = Field(default=5.0, gt=0, description="seconds a miner has for one answer")
    count: int = Field(default=8, ge=1, le=64, description="solutions asked for")
    bits: int = Field(default=11, ge=1, le=24, description="leading zero bits of a solution's hash")


class Puzzle(Synapse):
    """Find ``count`` numbers whose hash under the bound seed begins with ``bits`` zero bits."""

    challenge: str = Field(pattern=r"^[0-9a-f]{64}$", description="32 random bytes, hex")
    count: int = Field(ge=1, le=64)
    bits: int = Field(ge=1, le=24)

    class Reply(Reply):
        """The numbers, all different."""

        solutions: tuple[int, ...] = Field(max_length=64)

    def seed(self, miner: str, caller: str) -> bytes:
        """The noise of an answer by ``miner`` to ``caller``: worthless in anybody else's hands."""
        return bound_seed(bytes.fromhex(self.challenge), miner, caller)


def solves(seed: bytes, number: int, bits: int) -> bool:
    """Whether one number is a solution: one hash."""
    digest = hashlib.sha256(seed + number.to_bytes(8, "big")).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - bits) == 0


def search(seed: bytes, bits: int) -> Iterator[int]:
    """Solutions in rising order: two to the power of ``bits`` hashes each, on average."""
    return (number for number in range(1 << 48) if solves(seed, number, bits))


class PuzzleMiner(Miner[Puzzle]):
    """Searches honestly."""

    async def answer(self, request: Puzzle, caller: Caller) -> BaseModel:
        """All solutions that were asked for; the search runs in a thread, so that others are served meanwhile."""
        seed = request.seed(self.context.hotkey, caller.hotkey)
        found = await asyncio.to_thread(lambda: tuple(islice(search(seed, request.bits), request.count)))
        return Puzzle.Reply(solutions=found)
