"""Scenes that are drawn from a grammar: an endless text-to-picture data set without anybody's pictures in it.

A caption names two objects (size, colour, shape, place) and a ground. What it leaves open (exact position and scale,
rotation, shade, the ground's texture, and any word that was dropped) is drawn at random, so that one caption has very
many pictures and a model that only memorises them fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SIZE: Final = 32
Pixels = npt.NDArray[Any]
Random = np.random.Generator

COLOURS: Final = {
    "red": (214, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 60),
    "green": (50, 160, 70),
    "teal": (30, 170, 170),
    "blue": (45, 90, 210),
    "purple": (130, 60, 180),
    "pink": (240, 130, 180),
    "brown": (130, 85, 50),
    "black": (25, 25, 30),
    "white": (245, 245, 245),
    "grey": (135, 135, 140),
}
SHAPES: Final = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "crescent")
SIZES: Final = {"small": (4.2, 5.4), "medium": (6.0, 7.2), "large": (8.0, 9.6)}
PLACES: Final = {
    "top left": (9, 9),
    "top right": (23, 9),
    "bottom left": (9, 23),
    "bottom right": (23, 23),
    "left": (9, 16),
    "right": (23, 16),
    "top": (16, 9),
    "bottom": (16, 23),
}
GROUNDS: Final = ("plain", "striped", "spotted", "shaded")
OPPOSITE: Final = {
    "top left": "bottom right",
    "top right": "bottom left",
    "bottom left": "top right",
    "bottom right": "top left",
    "left": "right",
    "right": "left",
    "top": "bottom",
    "bottom": "top",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One object; None is left to chance and out of the caption."""

    shape: str
    colour: str
    size: str | None
    place: str | None

    def words(self) -> str:
        """As the caption says it."""
        size = f"{self.size} " if self.size else ""
        place = f" at the {self.place}" if self.place else ""
        return f"a {size}{self.colour} {self.shape}{place}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a caption says."""

    first: Thing
    second: Thing | None
    ground: str
    colour: str

    def caption(self) -> str:
        """The caption."""
        things = self.first.words() + (f" and {self.second.words()}" if self.second else "")
        return f"{things} on a {self.ground} {self.colour} ground"


def captions() -> int:
    """How many different captions with two objects there are."""
    ordered_pairs = len(SHAPES) ** 2
    colours = len(COLOURS) * (len(COLOURS) - 1) * (len(COLOURS) - 2)
    sizes = (len(SIZES) + 1) ** 2
    return ordered_pairs * colours * sizes * (len(PLACES) + 1) * len(GROUNDS)


def draw_scene(rng: Random, *, pair: float = 0.7, place: float = 0.6, size: float = 0.6) -> Scene:
    """A random scene; the arguments are the chances that a second object, places and sizes are named."""
    colours = [str(one) for one in rng.permutation(list(COLOURS))]
    where = str(rng.choice(list(PLACES))) if rng.random() < place else None

    def thing(colour: str, at: str | None) -> Thing:
        large = str(rng.choice(list(SIZES))) if rng.random() < size else None
        return Thing(str(rng.choice(SHAPES)), colour, large, at)

    second = thing(colours[1], OPPOSITE[where] if where else None) if rng.random() < pair else None
    return Scene(thing(colours[0], where), second, str(rng.choice(GROUNDS)), colours[2])


def paint(scene: Scene, rng: Random) -> Pixels:
    """A picture of ``scene`` in [-1, 1], shape (3, 32, 32)."""
    canvas = _ground(scene, rng)
    where = scene.first.place or (str(rng.choice(list(PLACES))) if scene.second else None)
    _place(canvas, scene.first, where, rng)
    if scene.second is not None:
        _place(canvas, scene.second, OPPOSITE[where or "left"], rng)
    return (canvas.transpose(2, 0, 1) / 127.5 - 1).astype(np.float32)


def _shade(colour: str, rng: Random) -> Pixels:
    """A shade of a colour: still that colour to the eye."""
    base = np.array(COLOURS[colour], dtype=np.float32)
    return np.clip(base * rng.uniform(0.86, 1.1) + rng.uniform(-10, 10, 3), 0, 255).astype(np.float32)


def _grid() -> tuple[Pixels, Pixels]:
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + 0.5
    return x, y


def _ground(scene: Scene, rng: Random) -> Pixels:
    x, y = _grid()
    base = _shade(scene.colour, rng)
    canvas = np.broadcast_to(base, (SIZE, SIZE, 3)).copy()
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 6)
    along = x * np.cos(angle) + y * np.sin(angle)
    contrast = 34.0 if base.mean() < 128 else -34.0
    if scene.ground == "striped":
        canvas += contrast * (np.sin(along * 2 * np.pi / rng.uniform(5, 8) + phase) > 0)[..., None]
    elif scene.ground == "spotted":
        step = rng.uniform(6, 8)
        dots = np.hypot((x + phase) % step - step / 2, (y + 2 * phase) % step - step / 2) < step * 0.28
        canvas += contrast * dots[..., None]
    elif scene.ground == "shaded":
        canvas += (along - along.mean())[..., None] * 2.2
    clipped: Pixels = np.clip(canvas, 0, 255).astype(np.float32)
    return clipped


def _place(canvas: Pixels, thing: Thing, place: str | None, rng: Random) -> None:
    size = thing.size or str(rng.choice(list(SIZES)))
    radius = rng.uniform(*SIZES[size])
    cx, cy = PLACES[place] if place else (rng.uniform(11, 21), rng.uniform(11, 21))
    cx, cy = cx + rng.uniform(-2.2, 2.2), cy + rng.uniform(-2.2, 2.2)
    x, y = _grid()
    turn = rng.uniform(-0.35, 0.35)
    u = ((x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)) / radius
    v = (-(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)) / radius
    cover = np.clip(0.5 - _distance(thing.shape, u, v) * radius, 0, 1)[..., None]
    canvas[:] = canvas * (1 - cover) + _shade(thing.colour, rng) * cover


def _distance(shape: str, u: Pixels, v: Pixels) -> Any:
    """Signed distance to the outline in units of the radius: negative inside."""
    r = np.hypot(u, v)
    if shape == "circle":
        return r - 0.95
    if shape == "ring":
        return np.abs(r - 0.74) - 0.24
    if shape == "square":
        return np.maximum(np.abs(u), np.abs(v)) - 0.82
    if shape == "diamond":
        return (np.abs(u) + np.abs(v) - 1.08) * 0.7071
    if shape == "cross":
        arm = np.minimum(np.abs(u), np.abs(v)) - 0.28
        return np.maximum(arm, np.maximum(np.abs(u), np.abs(v)) - 0.95)
    if shape == "triangle":
        return np.maximum(v - 0.72, (np.abs(u) * 1.732 - v) / 2 - 0.52)
    if shape == "crescent":
        return np.maximum(r - 0.95, 0.78 - np.hypot(u - 0.42, v + 0.1))
    angle = np.arctan2(u, -v)
    folded = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    return r * np.cos(folded) - (1.05 - 0.62 * folded / (np.pi / 5))
