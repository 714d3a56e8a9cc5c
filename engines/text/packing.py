"""Which tokens of which sequences one forward pass reads, end to end: no padding to compute or to hide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from ranvier.engines.text.kernel import Newest


class Part(NamedTuple):
    """New tokens of the sequence in ``slot``, which holds ``begin`` tokens already.

    ``logits`` asks for those after each of that many last tokens.
    """

    slot: int
    begin: int
    tokens: Sequence[int]
    logits: int = 1


class Run(NamedTuple):
    """Neighbours that attention takes together: ``rows`` parts of ``new`` tokens, in slots one after the other.

    ``start`` is where the first stands in the pack, ``length`` how many tokens each sequence then has.
    """

    start: int
    new: int
    rows: int
    slot: int
    length: int


@dataclass(frozen=True)
class Packing:
    """The layout of one pass; indices live on ``device``. Without a cache every part is a whole sequence."""

    parts: tuple[Part, ...]
    device: str
    cached: bool = True

    @cached_property
    def ids(self) -> Any:
        """Token ids, shape (1, tokens)."""
        return self._row([token for part in self.parts for token in part.tokens])[None]

    @cached_property
    def positions(self) -> Any:
        """Where each token stands in its sequence, shape (tokens,)."""
        return self._row([part.begin + place for part in self.parts for place in range(len(part.tokens))])

    @cached_property
    def slots(self) -> Any:
        """The slot of each token, shape (tokens,)."""
        return self._row([part.slot for part in self.parts for _ in part.tokens])

    @cached_property
    def wanted(self) -> Any:
        """Places in the pack whose logits are asked for; none where it is a prompt's beginning only."""
        places, start = list[int](), 0
        for part in self.parts:
            end = start + len(part.tokens)
            places.extend(range(end - part.logits, end))
            start = end
        return self._row(places)

    @cached_property
    def most_slots(self) -> int:
        """Slots that the cache must have."""
        return 1 + max(part.slot for part in self.parts)

    @cached_property
    def longest(self) -> int:
        """Positions that the cache must have."""
        return max(part.begin + len(part.tokens) for part in self.parts)

    @cached_property
    def single(self) -> bool:
        """Whether every part is one token: a step of decoding."""
        return all(len(part.tokens) == 1 for part in self.parts)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """All parts; single tokens of equally long neighbours are one run."""
        runs, start = list[Run](), 0
        for part in self.parts:
            count = len(part.tokens)
            here = Run(start, count, 1, part.slot, part.begin + count)
            last = runs[-1] if runs else None
            if last and count == last.new == 1 and here[3:] == (last.slot + last.rows, last.length):
                runs[-1] = last._replace(rows=last.rows + 1)
            else:
                runs.append(here)
            start += count
        return tuple(runs)

    @cached_property
    def newest(self) -> Newest | None:
        """The parts that are one token; None where there are none."""
        ones = [run for run in self.runs if run.new == 1]
        if not ones:
            return None
        rows = [(run.start + row, run.slot + row, run.length) for run in ones for row in range(run.rows)]
        return Newest(*(np.ascontiguousarray(column) for column in np.array(rows, dtype=np.int64).T))

    def _row(self, values: list[int]) -> Any:
        # An empty list would become floats, which index nothing.
        return torch.tensor(values, dtype=torch.long, device=self.device)
