"""A subnet that pays for factoring numbers: an example of a package of its own."""

from __future__ import annotations

from ranvier_example.miner import PuzzleMiner
from ranvier_example.subnet import PuzzleSettings, PuzzleSubnet
from ranvier_example.synapse import Puzzle

__all__ = ["Puzzle", "PuzzleMiner", "PuzzleSettings", "PuzzleSubnet"]
