"""A search puzzle as a subnet of its own."""

from __future__ import annotations

from ranvier_example.puzzle import Puzzle, PuzzleMiner, PuzzleSettings
from ranvier_example.subnet import PuzzleSubnet

__all__ = ["Puzzle", "PuzzleMiner", "PuzzleSettings", "PuzzleSubnet"]
