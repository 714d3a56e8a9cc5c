"""From relative weights by hotkey to the u16 row that a chain takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from ranvier.chain import Metagraph
from ranvier.neurons.errors import BadWeights

U16_MAX: Final = 65535


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


def still_there(
    weights: Mapping[str, float], metagraph: Metagraph, places: Mapping[str, tuple[int, int]]
) -> dict[str, float]:
    """Only hotkeys that are registered, and where ``places`` knows one, on the same (uid, registered_at)."""
    kept = {}
    for hotkey, weight in weights.items():
        neuron = metagraph.by_hotkey(hotkey)
        if neuron is None:
            continue
        here = (neuron.uid, neuron.registered_at)
        if places.get(hotkey, here) == here:
            kept[hotkey] = weight
    return kept


def as_row(weights: Mapping[str, int], metagraph: Metagraph) -> dict[int, int]:
    """u16 by uid, in uid order, for the hotkeys that are registered."""
    found = {neuron.uid: weights[neuron.hotkey] for neuron in metagraph.neurons if neuron.hotkey in weights}
    return dict(sorted(found.items()))


def same_row(sent: Mapping[int, int], stored: Mapping[int, int]) -> bool:
    """Whether a chain stores what was sent; one unit of u16 is left to its rounding."""
    present = {uid: value for uid, value in stored.items() if value}
    return set(sent) == set(present) and all(abs(sent[uid] - present[uid]) <= 1 for uid in sent)
