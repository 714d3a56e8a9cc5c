"""Pairs of an attribute and an object that training leaves out, so that composing can be told from remembering.

Each colour is withheld from one shape, each thing from one named place and from one colour of ground. Every word of a
withheld pair is trained in other company. A withheld place is one that no caption names: where a caption leaves places
open, the thing may still come to lie there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ranvier.engines.training.objects import OBJECTS
from ranvier.engines.training.scenes import COLOURS, PLACES, SHAPES, Random, Scene, draw_scene

Pair = tuple[str, str]


def _spread(
    attributes: tuple[str, ...], objects: tuple[str, ...], stride: int, first: int
) -> frozenset[Pair]:
    """One pair for each of the longer side, spread evenly over the other."""
    longer = max(len(attributes), len(objects))
    return frozenset(
        (attributes[(first + stride * n) % len(attributes)], objects[n % len(objects)])
        if len(objects) == longer
        else (attributes[n], objects[(first + stride * n) % len(objects)])
        for n in range(longer)
    )


COLOURED: Final = _spread(tuple(COLOURS), SHAPES, 3, 1)
"""(colour, shape)"""
PLACED: Final = _spread(tuple(PLACES), tuple(OBJECTS), 3, 0)
"""(named place, thing)"""
GROUNDED: Final = _spread(tuple(COLOURS), tuple(OBJECTS), 5, 2)
"""(colour of the ground, thing)"""
FAMILIES: Final = {"colour and shape": COLOURED, "place and thing": PLACED, "ground and thing": GROUNDED}
PLAIN: Final = 0.6
"""Share of trained scenes whose ground is made plain."""
PAIRS: Final = sum(map(len, FAMILIES.values()))


def pairs_of(scene: Scene) -> Iterator[Pair]:
    """Every pair in the caption of a scene that could have been withheld."""
    for thing in (scene.first, scene.second):
        if thing is None:
            continue
        if thing.colour is not None:
            yield thing.colour, thing.shape
        else:
            yield scene.colour, thing.shape
            if thing.place is not None:
                yield thing.place, thing.shape


def withheld(scene: Scene) -> frozenset[Pair]:
    """The pairs in the caption of a scene that training leaves out."""
    return frozenset(pairs_of(scene)) & (COLOURED | PLACED | GROUNDED)


def trained_scene(rng: Random, *, pair: float) -> Scene:
    """A random scene for training; ``pair`` is the share of scenes with two objects before any is left out.

    More is named than in `draw_scene`, and plain grounds come more often: what is left to chance costs much of the loss
    and teaches no object.
    """
    while withheld(scene := draw_scene(rng, pair=pair, place=0.9, size=0.9)):
        pass
    return replace(scene, ground="plain") if rng.random() < PLAIN else scene
