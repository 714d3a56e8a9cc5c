"""Weights as types that cannot hold what must never reach a chain: no NaN, no zero sum, no two lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Self

from ranvier.chain import Metagraph
from ranvier.neurons.errors import BadWeights

U16_MAX: Final = 65535
NOWHERE: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WeightVector:
    """u16 by hotkey: at least one, each from 1 to 65535, the largest 65535. Raises `BadWeights` for anything else.

    ``places`` says where (uid, registered_at) each hotkey sat when the vector was made; one that sits elsewhere
    later gets nothing. A hotkey without a place is taken wherever it is.
    """

    values: Mapping[str, int]
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for hotkey, value in self.values.items():
            if not isinstance(value, int) or not 0 < value <= U16_MAX:
                raise BadWeights(f"the weight of {hotkey} is {value}, not a whole number from 1 to {U16_MAX}")
        if max(self.values.values(), default=0) != U16_MAX:
            raise BadWeights(f"the largest of {len(self.values)} weights is not {U16_MAX}")
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "places", MappingProxyType(dict(self.places)))

    @classmethod
    def of(
        cls,
        weights: Mapping[str, float],
        metagraph: Metagraph,
        places: Mapping[str, tuple[int, int]] = NOWHERE,
    ) -> Self:
        """Relative weights of those who are registered, and where ``places`` knows one, who sit there still."""
        here = {neuron.hotkey: (neuron.uid, neuron.registered_at) for neuron in metagraph.neurons}
        stayed = {
            hotkey: weight
            for hotkey, weight in weights.items()
            if hotkey in here and places.get(hotkey, here[hotkey]) == here[hotkey]
        }
        values = quantise(stayed)
        return cls(values, {hotkey: here[hotkey] for hotkey in values})

    def row(self, metagraph: Metagraph) -> WeightRow:
        """For the hotkeys that are where they were. Raises `BadWeights` where nobody is left."""
        found = {
            neuron.uid: self.values[neuron.hotkey]
            for neuron in metagraph.neurons
            if neuron.hotkey in self.values and self._stayed(neuron.hotkey, neuron.uid, neuron.registered_at)
        }
        return WeightRow.of(found)

    def _stayed(self, hotkey: str, uid: int, registered_at: int) -> bool:
        here = (uid, registered_at)
        return self.places.get(hotkey, here) == here


@dataclass(frozen=True, slots=True)
class WeightRow:
    """(uid, u16) pairs in uid order, at least one, no uid twice, no zero. Raises `BadWeights`."""

    entries: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        uids = [uid for uid, _ in self.entries]
        if not uids:
            raise BadWeights("nobody of the vector is on the subnet any more")
        if uids != sorted(set(uids)) or not 0 <= uids[0] <= uids[-1] <= U16_MAX:
            raise BadWeights(f"the uids {uids} are not increasing numbers of 16 bits")
        if not all(0 < value <= U16_MAX for _, value in self.entries):
            raise BadWeights(f"a weight of {self.entries} is not in 1 to {U16_MAX}")

    @classmethod
    def of(cls, values: Mapping[int, int]) -> Self:
        """From u16 by uid."""
        return cls(tuple(sorted(values.items())))

    @property
    def uids(self) -> tuple[int, ...]:
        """As a call takes them."""
        return tuple(uid for uid, _ in self.entries)

    @property
    def values(self) -> tuple[int, ...]:
        """As a call takes them, one for each of `uids`."""
        return tuple(value for _, value in self.entries)

    def is_stored(self, stored: Mapping[int, int]) -> bool:
        """Whether a chain stores this row; its largest is scaled to 65535 there, one unit is left to rounding."""
        largest = max(self.values)
        sent = {uid: value * U16_MAX / largest for uid, value in self.entries}
        present = {uid: value for uid, value in stored.items() if value}
        return set(sent) == set(present) and all(abs(sent[uid] - present[uid]) <= 1 for uid in sent)


def quantise(weights: Mapping[str, float]) -> dict[str, int]:
    """u16 by hotkey, the largest 65535, what rounds to zero left out. Raises `BadWeights`, never returns nothing."""
    for hotkey, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise BadWeights(f"the weight of {hotkey} is {weight}; weights are finite and not negative")
    largest = max(weights.values(), default=0.0)
    if largest <= 0:
        raise BadWeights("every weight is zero; there is nothing to say to the chain yet")
    scaled = {hotkey: round(weight / largest * U16_MAX) for hotkey, weight in weights.items()}
    return {hotkey: value for hotkey, value in scaled.items() if value > 0}
