"""The gate: does a picture prove its seed? ``python -m ranvier.engines.image.gate`` measures it and writes gate.json.

Pictures of the same prompt and seed are drawn alone, in other batches, in other places of a batch, with two threads
and through a PNG (honest runs); then in ways that would save work (cheats); then with other seeds. A model passes when
the first percentile between seeds is at least ten times the 99.9th between honest runs.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ranvier.engines.image.calibration import GATE, SHIPPED, Calibration, Spread, Thresholds
from ranvier.engines.image.distance import Distance, distance
from ranvier.engines.image.model import SCENES, DiffusersImageModel, load_image
from ranvier.engines.image.png import Pixels, read_png
from ranvier.engines.models import ImageRequest
from ranvier.engines.training.scenes import draw_scene

FLOOR = 0.02
"""Levels: the honest spread is taken to be no smaller, since one pixel that rounds otherwise is no event."""
BATCH = 16
_log = logging.getLogger(__name__)


def spread(apart: Iterable[Distance]) -> Spread:
    """Quantiles, each rounded to the less favourable neighbour where there are few pairs."""
    rows = list(apart)
    means, highs = [one.mean for one in rows], [one.high for one in rows]

    def low(values: list[float], share: float) -> float:
        return round(float(np.quantile(values, share, method="lower")), 4)

    def top(values: list[float]) -> float:
        return round(float(np.quantile(values, 0.999, method="higher")), 4)

    return Spread(
        pairs=len(rows),
        mean_q001=low(means, 0.001),
        mean_q01=low(means, 0.01),
        mean_q50=low(means, 0.5),
        mean_q999=top(means),
        high_q01=low(highs, 0.01),
        high_q999=top(highs),
    )


class Bench:
    """Requests of ``prompts`` times ``seeds``, drawn once in batches of 16; everything is compared with that."""

    def __init__(self, model: DiffusersImageModel, prompts: int, seeds: int) -> None:
        self.model, self.prompts, self.seeds = model, prompts, seeds
        rng, extra = np.random.default_rng(2024), model.info.extra
        captions = [draw_scene(rng).caption() for _ in range(prompts)]
        steps, guidance = int(str(extra["steps"])), float(str(extra["guidance"]))
        width, height = int(str(extra["width"])), int(str(extra["height"]))
        self.asked = [
            ImageRequest(caption, rng.bytes(32), steps, guidance, width, height)
            for caption in captions
            for _ in range(seeds)
        ]
        started = time.process_time()
        self.drawn = self.draw(self.asked, BATCH)
        self.seconds = (time.process_time() - started) / len(self.asked)

    def draw(
        self, asked: Sequence[ImageRequest], size: int, model: DiffusersImageModel | None = None
    ) -> list[Pixels]:
        """Pictures, ``size`` at a time."""
        parts = [asked[start : start + size] for start in range(0, len(asked), size)]
        return [pixels for part in parts for pixels in (model or self.model).draw(part)]

    def against(self, drawn: Sequence[Pixels]) -> list[Distance]:
        """Each picture to its own."""
        return [distance(one, other) for one, other in zip(self.drawn, drawn, strict=True)]

    def shuffled(self) -> list[Pixels]:
        """In batches of five, in another order."""
        order = list(range(len(self.asked)))
        random.Random(5).shuffle(order)
        drawn = self.draw([self.asked[number] for number in order], 5)
        return [pixels for _, pixels in sorted(zip(order, drawn, strict=True), key=lambda pair: pair[0])]

    def two_threads(self) -> list[Pixels]:
        """In batches of 16, by two threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            return self.draw(self.asked, BATCH)
        finally:
            torch.set_num_threads(before)

    def sent(self) -> list[Pixels]:
        """As a validator receives them."""
        size = self.asked[0].width, self.asked[0].height
        return [read_png(self.model.encode(one, self.asked[0].steps), *size) for one in self.drawn]

    def changed(self, change: Callable[[ImageRequest], ImageRequest]) -> list[Pixels]:
        """Other requests than those that were asked for."""
        return self.draw([change(asked) for asked in self.asked], BATCH)

    def between_seeds(self) -> list[Distance]:
        """Pictures of one prompt and different seeds."""
        groups = [self.drawn[start : start + self.seeds] for start in range(0, len(self.drawn), self.seeds)]
        return [distance(*pair) for group in groups for pair in itertools.combinations(group, 2)]

    def between_prompts(self) -> list[Pixels]:
        """The picture of the next prompt under the same number of seed: a cached one."""
        return self.drawn[self.seeds :] + self.drawn[: self.seeds]


def measure(name: str, source: Path | None, prompts: int, seeds: int) -> Calibration:
    """Run the gate on the CPU in float32."""
    bench = Bench(load_image(name, source), prompts, seeds)
    info, first = bench.model.info, bench.asked[0]
    honest = {
        "alone": bench.against(bench.draw(bench.asked, 1)),
        "batches of 5, shuffled": bench.against(bench.shuffled()),
        "two threads": bench.against(bench.two_threads()),
        "received png": bench.against(bench.sent()),
    }
    cheats = {
        "one step fewer": bench.changed(lambda asked: replace(asked, steps=asked.steps - 1)),
        "half the steps": bench.changed(lambda asked: replace(asked, steps=asked.steps // 2)),
        "no guidance": bench.changed(lambda asked: replace(asked, guidance=1.0)),
        "bfloat16": bench.draw(bench.asked, BATCH, load_image(name, source, dtype="bfloat16")),
        "half the size": [_rescaled(one) for one in bench.drawn],
        "cached picture of another prompt": bench.between_prompts(),
    }
    every, apart = spread(itertools.chain(*honest.values())), spread(bench.between_seeds())
    unlike = {kind: spread(bench.against(drawn)) for kind, drawn in cheats.items()}
    return Calibration(
        model=info.id,
        digest=info.digest,
        dtype=info.dtype,
        device=info.device,
        steps=first.steps,
        guidance=first.guidance,
        width=first.width,
        height=first.height,
        prompts=prompts,
        seeds=seeds,
        seconds_per_picture=round(bench.seconds, 3),
        honest={kind: spread(rows) for kind, rows in honest.items()},
        cheats=unlike,
        seed_to_seed=apart,
        ratio=round(apart.mean_q01 / max(every.mean_q999, FLOOR), 1),
        thresholds=thresholds(every, unlike, apart),
    )


def thresholds(honest: Spread, cheats: dict[str, Spread], seeds: Spread) -> Thresholds:
    """Between honest runs and the nearest cheat; proof lies where neither a coarser dtype nor one step reaches."""
    nearest = min(one.mean_q001 for one in cheats.values())
    floor = max(honest.mean_q999, FLOOR)
    same = (floor * max(nearest, floor)) ** 0.5
    coarse = max(cheats["bfloat16"].mean_q999, same)
    return Thresholds(
        same_mean=round(same, 4),
        same_high=max(2.0, 2 * honest.high_q999),
        other_mean=round((coarse * max(seeds.mean_q01, coarse)) ** 0.5, 4),
        other_high=255.0,
    )


def _rescaled(pixels: Pixels) -> Pixels:
    """Drawn at half the size and enlarged."""
    height, width, channels = pixels.shape
    small: Any = pixels.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3))
    large: Pixels = np.rint(small).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    return large


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SCENES, help="scenes, a folder, or a hub id")
    parser.add_argument("--source", type=Path, help="folder to load the model from")
    parser.add_argument("--out", type=Path, default=SHIPPED / GATE)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=6)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    found = measure(chosen.model, chosen.source, chosen.prompts, chosen.seeds)
    chosen.out.write_text(found.model_dump_json(indent=1) + "\n")
    _log.info("ratio %.1f: %s", found.ratio, "passed" if found.passed else "NOT passed")
    _log.info("%s", found.thresholds)


if __name__ == "__main__":
    main()
