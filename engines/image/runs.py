"""The same pictures drawn in every way: as honest miners may, as such that save work would, in each dtype."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from ranvier.engines.image.distance import Distance, distance
from ranvier.engines.image.kept import Kept
from ranvier.engines.image.model import DiffusersImageModel
from ranvier.engines.image.png import Pixels, read_png
from ranvier.engines.models import ImageRequest, StepRequest
from ranvier.engines.training.scenes import draw_scene

BATCH: Final = 16
Pictures = npt.NDArray[np.uint8]
Latents = npt.NDArray[np.float32]


class Runs:
    """Requests of ``prompts`` times ``seeds``, drawn with the same model in several dtypes, each way once."""

    def __init__(
        self,
        models: Mapping[str, DiffusersImageModel],
        prompts: int,
        seeds: int,
        *,
        rng_seed: int = 2024,
        kept: Kept | None = None,
    ) -> None:
        self.models, self.seeds = models, seeds
        """By dtype."""
        self.kept = kept or Kept()
        rng, extra = np.random.default_rng(rng_seed), next(iter(models.values())).info.extra
        captions = [draw_scene(rng).caption() for _ in range(prompts)]
        steps, guidance = int(str(extra["steps"])), float(str(extra["guidance"]))
        width, height = int(str(extra["width"])), int(str(extra["height"]))
        self.asked = [
            ImageRequest(caption, rng.bytes(32), steps, guidance, width, height)
            for caption in captions
            for _ in range(seeds)
        ]

    def by(self, dtype: str) -> Pictures:
        """In batches of 16: what a verifier of that dtype compares with."""
        return self.drawn("batches of 16", dtype, lambda: self.draw(self.asked, BATCH, dtype))

    def drawn(self, way: str, dtype: str, make: Callable[[], Sequence[Pixels]]) -> Pictures:
        """The pictures of one way, kept."""
        return self.kept.get(f"{way} {dtype}", lambda: np.stack(make()))

    def draw(self, asked: Sequence[ImageRequest], size: int, dtype: str) -> list[Pixels]:
        """Pictures, ``size`` at a time."""
        parts = [asked[start : start + size] for start in range(0, len(asked), size)]
        return [pixels for part in parts for pixels in self.models[dtype].draw(part)]

    def against(self, verifier: str, drawn: Sequence[Pixels] | Pictures) -> list[Distance]:
        """Each picture to that of a verifier."""
        return [distance(one, other) for one, other in zip(self.by(verifier), drawn, strict=True)]

    def honest(self, dtype: str) -> dict[str, Pictures]:
        """Pictures of an honest miner, in every way that it may draw them."""
        ways: dict[str, Callable[[], Sequence[Pixels]]] = {
            "alone": lambda: self.draw(self.asked, 1, dtype),
            "batches of 5, shuffled": lambda: self._shuffled(dtype),
            "two threads": lambda: self._two_threads(dtype),
        }
        made = {way: self.drawn(way, dtype, make) for way, make in ways.items()}
        return {**made, "batches of 16": self.by(dtype), "received png": np.stack(self._sent(dtype))}

    def cheap(self, dtype: str) -> dict[str, Pictures]:
        """Pictures of miners that would save work."""
        ways: dict[str, Callable[[ImageRequest], ImageRequest]] = {
            "one step fewer": lambda asked: replace(asked, steps=asked.steps - 1),
            "half the steps": lambda asked: replace(asked, steps=asked.steps // 2),
            "no guidance": lambda asked: replace(asked, guidance=1.0),
        }
        return {
            **{way: self.changed(way, dtype, change) for way, change in ways.items()},
            "half the size": np.stack([rescaled(one) for one in self.by(dtype)]),
            "cached picture of another prompt": np.roll(self.by(dtype), -self.seeds, axis=0),
        }

    def changed(self, way: str, dtype: str, change: Callable[[ImageRequest], ImageRequest]) -> Pictures:
        """Other requests than those that were asked for."""
        return self.drawn(way, dtype, lambda: self.draw([change(one) for one in self.asked], BATCH, dtype))

    def between_seeds(self, dtype: str) -> list[Distance]:
        """Pictures of one prompt and different seeds."""
        drawn = self.by(dtype)
        groups = [drawn[start : start + self.seeds] for start in range(0, len(drawn), self.seeds)]
        return [distance(*pair) for group in groups for pair in itertools.combinations(group, 2)]

    def seconds(self, dtype: str) -> float:
        """CPU seconds that a picture takes in a batch of 16."""
        batch = self.asked[:BATCH]
        began = time.process_time()
        self.models[dtype].draw(batch)
        return (time.process_time() - began) / len(batch)

    def chains(self, dtype: str) -> Latents:
        """Noise and the latents after each step, (pictures, steps + 1, numbers)."""
        return self.kept.get(f"chains {dtype}", lambda: self.traced(self.asked, dtype))

    def traced(self, asked: Sequence[ImageRequest], dtype: str) -> Latents:
        """The chains of some requests."""
        rows = []
        for made in self.models[dtype].trace(asked):
            if isinstance(made, ValueError):
                raise made
            rows.append([np.frombuffer(one, dtype="<f4") for one in made.latents])
        return np.concatenate([self.noise(asked, dtype)[:, None], np.array(rows, dtype=np.float32)], axis=1)

    def noise(self, asked: Sequence[ImageRequest], dtype: str) -> Latents:
        """What chains begin with, (pictures, numbers)."""
        first = asked[0]
        seeds = [one.seed for one in asked]
        made = self.models[dtype].sampler.noise(seeds, first.width, first.height)
        return np.asarray(made.flatten(1).numpy(), dtype=np.float32)

    def again(self, name: str, chains: Latents, dtype: str) -> Latents:
        """The latents after each step, every one made again from the chain's latents before it, by a verifier."""
        return self.kept.get(f"{name}, again by {dtype}", lambda: self._again(chains, dtype))

    def apart(self, name: str, chains: Latents, dtype: str) -> npt.NDArray[np.float64]:
        """How far a chain's latents are from those, (pictures, steps, 2): mean and 99th percentile of differences."""

        def measured() -> npt.NDArray[np.float64]:
            differ = np.abs(chains[:, 1:].astype(np.float64) - self._again(chains, dtype))
            return np.stack([differ.mean(2), np.percentile(differ, 99, axis=2)], axis=2)

        return self.kept.get(f"{name}, apart by {dtype}", measured)

    def _again(self, chains: Latents, dtype: str) -> Latents:
        asked = [
            StepRequest(one, number, chains[row, number].astype("<f4").tobytes())
            for row, one in enumerate(self.asked)
            for number in range(one.steps)
        ]
        rows = []
        for made in self.models[dtype].steps(asked):
            if isinstance(made, ValueError):
                raise made
            rows.append(np.frombuffer(made, dtype="<f4"))
        return np.array(rows, dtype=np.float32).reshape(len(chains), -1, chains.shape[2])

    def _shuffled(self, dtype: str) -> list[Pixels]:
        """In batches of five, in another order."""
        order = list(range(len(self.asked)))
        random.Random(5).shuffle(order)
        drawn = self.draw([self.asked[number] for number in order], 5, dtype)
        return [pixels for _, pixels in sorted(zip(order, drawn, strict=True), key=lambda pair: pair[0])]

    def _two_threads(self, dtype: str) -> list[Pixels]:
        """In batches of 16, by two threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            return self.draw(self.asked, BATCH, dtype)
        finally:
            torch.set_num_threads(before)

    def _sent(self, dtype: str) -> list[Pixels]:
        """As a validator receives them."""
        model, first = self.models[dtype], self.asked[0]
        return [read_png(model.encode(one, first.steps), first.width, first.height) for one in self.by(dtype)]


def rescaled(pixels: Pixels) -> Pixels:
    """Drawn at half the size and enlarged."""
    height, width, channels = pixels.shape
    small: Any = pixels.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3))
    large: Pixels = np.rint(small).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    return large
