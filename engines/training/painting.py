"""Pictures of scenes: shapes from their outlines, things from the artists' sprites, on a textured ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ranvier.engines.training.scenes import COLOURS, OPPOSITE, PLACES, SIZE, SIZES, Random, Scene, Thing
from ranvier.engines.training.sprites import stamp

Pixels = npt.NDArray[Any]
Sprites = Mapping[str, Sequence[Any]]
SHIFT: Final = 0.6
"""Pixels that an object may lie off its place, either way: a model this small cannot follow much more."""
TURN: Final = 0.05
"""Radians that an object may be turned, either way."""


def paint(scene: Scene, rng: Random, sprites: Sprites) -> Pixels:
    """A picture of ``scene`` in [-1, 1], shape (3, 32, 32). ``sprites`` may be empty where no thing is in it."""
    canvas = _ground(scene, rng)
    where = scene.first.place or (str(rng.choice(list(PLACES))) if scene.second else None)
    _place(canvas, scene.first, where, rng, sprites)
    if scene.second is not None:
        _place(canvas, scene.second, OPPOSITE[where or "left"], rng, sprites)
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


def _place(canvas: Pixels, thing: Thing, place: str | None, rng: Random, sprites: Sprites) -> None:
    size = thing.size or str(rng.choice(list(SIZES)))
    radius = SIZES[size] * rng.uniform(0.96, 1.04)
    cx, cy = PLACES[place] if place else (SIZE / 2, SIZE / 2)
    cx, cy = cx + rng.uniform(-SHIFT, SHIFT), cy + rng.uniform(-SHIFT, SHIFT)
    turn = rng.uniform(-TURN, TURN)
    if thing.colour is None:
        drawn = sprites[thing.shape][int(rng.integers(len(sprites[thing.shape])))]
        top = stamp(drawn, SIZE, (cx, cy), 2.3 * radius, turn)
        canvas[:] = canvas * (1 - top[..., 3:] / 255) + top[..., :3] * rng.uniform(0.9, 1.08)
        np.clip(canvas, 0, 255, out=canvas)
        return
    x, y = _grid()
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
