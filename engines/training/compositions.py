"""Captions that test composing: scenes of one object with a pair that was withheld, or with a trained one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ranvier.engines.training.judge import Seen
from ranvier.engines.training.scenes import COLOURS, PLACES, Random, Scene, draw_scene
from ranvier.engines.training.withheld import FAMILIES, Pair, withheld

ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "colour and shape": tuple(COLOURS),
    "place and thing": tuple(PLACES),
    "ground and thing": tuple(COLOURS),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A scene of one object, and the family and pair that are looked for in it."""

    family: str
    pair: Pair
    scene: Scene

    def object_seen(self, seen: Seen) -> bool:
        """Whether the object lies anywhere."""
        return self.pair[1] in seen.kinds

    def pair_seen(self, seen: Seen) -> bool:
        """Whether the object lies anywhere with its colour, at its place, or on its ground."""
        attribute, name = self.pair
        here = [at for at, kind in enumerate(seen.kinds) if kind == name]
        if self.family == "colour and shape":
            return any(seen.colours[at] == attribute for at in here)
        if self.family == "place and thing":
            return list(PLACES).index(attribute) in here
        return bool(here) and seen.ground == attribute


def ask(rng: Random, family: str, pair: Pair) -> Asked:
    """A random scene of one object at a named place with ``pair``, and with no other pair that is withheld."""
    attribute, name = pair
    while True:
        drawn = draw_scene(rng, pair=0.0, place=1.0)
        first = replace(drawn.first, shape=name, colour=None)
        if family == "colour and shape":
            first = replace(first, colour=attribute)
        elif family == "place and thing":
            first = replace(first, place=attribute)
        scene = replace(
            drawn, first=first, colour=attribute if family == "ground and thing" else drawn.colour
        )
        if first.colour != scene.colour and withheld(scene) <= {pair}:
            return Asked(family, pair, scene)


def compositions(rng: Random, each: int) -> Iterator[tuple[Asked, Asked]]:
    """For every withheld pair ``each`` scenes, beside each one with a trained pair of the same family and object."""
    for family, pairs in FAMILIES.items():
        for pair in sorted(pairs):
            others = [(one, pair[1]) for one in ATTRIBUTES[family] if (one, pair[1]) not in pairs]
            for _ in range(each):
                yield ask(rng, family, pair), ask(rng, family, others[rng.integers(len(others))])
