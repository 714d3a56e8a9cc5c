"""A judge of scenes: a small network that says which object lies at each place, in which colour, on which ground.

It is trained on painted scenes, withheld pairs among them: it has to know what it judges. It never sees a drawn one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, pad

from ranvier.engines.training.objects import OBJECTS
from ranvier.engines.training.painting import Sprites, paint
from ranvier.engines.training.scenes import (
    COLOURS,
    PLACES,
    SHAPES,
    Random,
    Scene,
    draw_scene,
)

KINDS: Final = (*SHAPES, *OBJECTS)
WINDOW: Final = 24
"""Side of the window around each place, in pixels: a large object fits."""
BATCH: Final = 32
EMPTY: Final = 2
"""Empty windows that are learnt from, of each picture."""
RATE: Final = 2e-3
GRAIN: Final = 0.04
"""Standard deviation of the noise that is added in training: drawn pictures are less smooth than painted ones."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What lies at each of `PLACES` (None: nothing), its colour if it is a shape, and the colour of the ground."""

    kinds: tuple[str | None, ...]
    colours: tuple[str | None, ...]
    ground: str


def _trunk(width: int) -> nn.Sequential:
    """Pixels of any side to ``4 * width`` features of a 3x3 grid."""

    def stage(given: int, made: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(given, made, 3, stride, 1), nn.GroupNorm(4, made), nn.SiLU()]

    layers = [*stage(3, width, 1), *stage(width, 2 * width, 2), *stage(2 * width, 4 * width, 2)]
    return nn.Sequential(*layers, *stage(4 * width, 4 * width, 1), nn.AdaptiveAvgPool2d(3), nn.Flatten())


class Judge(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """Numbers are those of `KINDS` and `COLOURS` plus one; zero is "nothing" and "a thing, not a shape"."""

    def __init__(self) -> None:
        super().__init__()
        self.objects, self.grounds = _trunk(32), _trunk(8)
        self.kind = nn.Linear(9 * 128, len(KINDS) + 1)
        self.colour = nn.Linear(9 * 128, len(COLOURS) + 1)
        self.ground = nn.Linear(9 * 32, len(COLOURS))

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def look(self, pictures: Sequence[Any]) -> list[Seen]:
        """Judge pictures of bytes, each (32, 32, 3)."""
        found: list[Seen] = []
        for start in range(0, len(pictures), BATCH):
            part = np.stack(pictures[start : start + BATCH]).transpose(0, 3, 1, 2)
            pixels = torch.from_numpy(part.astype(np.float32) / 127.5 - 1)
            inner = self.objects(windows(pixels).flatten(0, 1))
            kinds = self.kind(inner).argmax(1).reshape(len(pixels), -1).tolist()
            colours = self.colour(inner).argmax(1).reshape(len(pixels), -1).tolist()
            grounds = self.ground(self.grounds(pixels)).argmax(1).tolist()
            found += [_seen(*row) for row in zip(kinds, colours, grounds, strict=True)]
        return found


def _seen(kinds: list[int], colours: list[int], ground: int) -> Seen:
    kind_names, colour_names = (None, *KINDS), (None, *COLOURS)
    return Seen(
        tuple(kind_names[number] for number in kinds),
        tuple(colour_names[number] for number in colours),
        tuple(COLOURS)[ground],
    )


def windows(pixels: Any) -> Any:
    """(n, 3, 32, 32) to (n, places, 3, WINDOW, WINDOW); beyond the edge its pixels are repeated."""
    half = WINDOW // 2
    wide = pad(pixels, (half, half, half, half), mode="replicate")
    cut = [wide[:, :, y : y + WINDOW, x : x + WINDOW] for x, y in PLACES.values()]
    return torch.stack(cut, dim=1)


def truth(scene: Scene) -> tuple[list[int], list[int], int]:
    """The numbers of a scene whose places are named: kind and colour at each place, and the ground."""
    kinds, colours = [0] * len(PLACES), [0] * len(PLACES)
    for thing in (scene.first, scene.second):
        if thing is not None:
            at = list(PLACES).index(thing.place or "")
            kinds[at] = 1 + KINDS.index(thing.shape)
            colours[at] = 1 + list(COLOURS).index(thing.colour) if thing.colour else 0
    return kinds, colours, list(COLOURS).index(scene.colour)


def lesson(rng: Random, sprites: Sprites) -> tuple[Any, Any, Any, Any]:
    """Painted pixels, and what is true of them (`truth`), of fresh scenes."""
    scenes = [draw_scene(rng, place=1.0) for _ in range(BATCH)]
    pixels = np.stack([paint(scene, rng, sprites) for scene in scenes])
    pixels += rng.normal(0, GRAIN * rng.random(), pixels.shape).astype(np.float32)
    kinds, colours, grounds = zip(*(truth(scene) for scene in scenes), strict=True)
    return torch.from_numpy(pixels), torch.tensor(kinds), torch.tensor(colours), torch.tensor(grounds)


def loss_of(judge: Judge, rng: Random, taught: tuple[Any, Any, Any, Any]) -> Any:
    """Of all windows with an object and as many empty ones as `EMPTY` says."""
    pixels, kinds, colours, grounds = taught
    chosen = kinds > 0
    empty = torch.from_numpy(rng.random(chosen.shape)) < EMPTY / len(PLACES)
    chosen = chosen | empty
    inner = judge.objects(windows(pixels)[chosen])
    kind, colour = judge.kind(inner), judge.colour(inner)
    held = kinds[chosen] > 0
    told = cross_entropy(colour[held], colours[chosen][held])
    ground = cross_entropy(judge.ground(judge.grounds(pixels)), grounds)
    return cross_entropy(kind, kinds[chosen]) + 0.5 * told + 0.5 * ground


def train_judge(sprites: Sprites, steps: int, seed: int) -> Judge:
    """A trained judge; the learning rate rises for a twentieth of the steps, then falls to nothing."""
    torch.manual_seed(seed)
    rng, judge = np.random.default_rng(seed), Judge()
    optimiser = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=0.01)
    for step in range(steps):
        spent = (step + 1) / steps
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(20 * spent, 1.0) * (1 - spent + 1 / steps)
        loss = loss_of(judge, rng, lesson(rng, sprites))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    judge.eval()
    return judge
