"""The gate: does a picture prove its seed? ``python -m ranvier.engines.image.gate`` measures it and writes gate.json.

Pictures of the same prompt and seed are drawn alone, in other batches, in other places of a batch, with two threads
and through a PNG, in each dtype that miners may declare (honest runs); then in ways that would save work (cheats); then
with other seeds. A model passes when the first percentile between seeds is at least ten times the 99.9th between honest
runs in the verifier's dtype. Where single steps can be made again, each is, from honest latents of each dtype.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ranvier.engines.image.calibration import (
    GATE,
    SHIPPED,
    Calibration,
    LinkLimits,
    Miners,
    Spread,
    Thresholds,
)
from ranvier.engines.image.distance import Distance, distance
from ranvier.engines.image.model import SCENES, DiffusersImageModel, load_image
from ranvier.engines.image.png import Pixels, read_png
from ranvier.engines.models import ImageRequest, StepRequest
from ranvier.engines.training.scenes import draw_scene

FLOOR = 0.02
"""Levels: the honest spread is taken to be no smaller, since one pixel that rounds otherwise is no event."""
LINK_FLOOR = 1e-5
"""Latents likewise: about a tenth of a level."""
ROOM = 1.3
"""Times the largest honest distance is accepted at least, whatever cheats come near."""
BATCH = 16
DTYPES = ("float32", "bfloat16")
Latents = npt.NDArray[np.float32]
_log = logging.getLogger(__name__)


def spread(apart: Iterable[Distance]) -> Spread:
    """Quantiles, each rounded to the less favourable neighbour where there are few pairs."""
    rows = list(apart)
    means, coarse = [one.mean for one in rows], [one.coarse for one in rows]
    highs = [one.high for one in rows]

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
        coarse_q01=low(coarse, 0.01),
        coarse_q50=low(coarse, 0.5),
        coarse_q999=top(coarse),
        high_q01=low(highs, 0.01),
        high_q999=top(highs),
    )


class Bench:
    """Requests of ``prompts`` times ``seeds``, drawn once in batches of 16; everything is compared with that."""

    def __init__(self, model: DiffusersImageModel, prompts: int, seeds: int, *, rng_seed: int = 2024) -> None:
        self.model, self.prompts, self.seeds = model, prompts, seeds
        rng, extra = np.random.default_rng(rng_seed), model.info.extra
        captions = [draw_scene(rng).caption() for _ in range(prompts)]
        steps, guidance = int(str(extra["steps"])), float(str(extra["guidance"]))
        width, height = int(str(extra["width"])), int(str(extra["height"]))
        self.asked = [
            ImageRequest(caption, rng.bytes(32), steps, guidance, width, height)
            for caption in captions
            for _ in range(seeds)
        ]
        started = time.process_time()
        self._drawn = {model.info.dtype: self.draw(self.asked, BATCH)}
        self.drawn = self._drawn[model.info.dtype]
        self.seconds = (time.process_time() - started) / len(self.asked)

    def by(self, model: DiffusersImageModel) -> list[Pixels]:
        """As ``model`` draws them, in batches of 16; drawn once in each dtype."""
        if model.info.dtype not in self._drawn:
            self._drawn[model.info.dtype] = self.draw(self.asked, BATCH, model)
        return self._drawn[model.info.dtype]

    def draw(
        self, asked: Sequence[ImageRequest], size: int, model: DiffusersImageModel | None = None
    ) -> list[Pixels]:
        """Pictures, ``size`` at a time."""
        parts = [asked[start : start + size] for start in range(0, len(asked), size)]
        return [pixels for part in parts for pixels in (model or self.model).draw(part)]

    def against(self, drawn: Sequence[Pixels]) -> list[Distance]:
        """Each picture to its own."""
        return [distance(one, other) for one, other in zip(self.drawn, drawn, strict=True)]

    def honest(self, model: DiffusersImageModel) -> dict[str, list[Pixels]]:
        """Pictures of an honest miner with ``model``, in every way that it may draw them."""
        return {
            "alone": self.draw(self.asked, 1, model),
            "batches of 5, shuffled": self.shuffled(model),
            "two threads": self.two_threads(model),
            "batches of 16": self.by(model),
            "received png": self.sent(model),
        }

    def shuffled(self, model: DiffusersImageModel) -> list[Pixels]:
        """In batches of five, in another order."""
        order = list(range(len(self.asked)))
        random.Random(5).shuffle(order)
        drawn = self.draw([self.asked[number] for number in order], 5, model)
        return [pixels for _, pixels in sorted(zip(order, drawn, strict=True), key=lambda pair: pair[0])]

    def two_threads(self, model: DiffusersImageModel) -> list[Pixels]:
        """In batches of 16, by two threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            return self.draw(self.asked, BATCH, model)
        finally:
            torch.set_num_threads(before)

    def sent(self, model: DiffusersImageModel) -> list[Pixels]:
        """As a validator receives them."""
        first = self.asked[0]
        return [read_png(model.encode(one, first.steps), first.width, first.height) for one in self.by(model)]

    def cheap(self) -> dict[str, list[Pixels]]:
        """Pictures of miners that would save work, in the verifier's dtype: as near to its own as they can get."""
        return {
            "one step fewer": self.changed(lambda asked: replace(asked, steps=asked.steps - 1)),
            "half the steps": self.changed(lambda asked: replace(asked, steps=asked.steps // 2)),
            "no guidance": self.changed(lambda asked: replace(asked, guidance=1.0)),
            "half the size": [rescaled(one) for one in self.drawn],
            "cached picture of another prompt": self.drawn[self.seeds :] + self.drawn[: self.seeds],
        }

    def changed(self, change: Callable[[ImageRequest], ImageRequest]) -> list[Pixels]:
        """Other requests than those that were asked for."""
        return self.draw([change(asked) for asked in self.asked], BATCH)

    def between_seeds(self) -> list[Distance]:
        """Pictures of one prompt and different seeds."""
        groups = [self.drawn[start : start + self.seeds] for start in range(0, len(self.drawn), self.seeds)]
        return [distance(*pair) for group in groups for pair in itertools.combinations(group, 2)]

    def chains(self, model: DiffusersImageModel) -> Latents:
        """Noise and the latents after each step, (pictures, steps + 1, numbers)."""
        seeds = [asked.seed for asked in self.asked]
        first = self.asked[0]
        noise = model.sampler.noise(seeds, first.width, first.height).flatten(1).numpy()
        rows = []
        for traced in model.trace(self.asked):
            if isinstance(traced, ValueError):
                raise traced
            rows.append([np.frombuffer(one, dtype="<f4") for one in traced.latents])
        return np.concatenate([noise[:, None], np.array(rows, dtype=np.float32)], axis=1)

    def again(self, chains: Latents) -> Latents:
        """The latents after each step, every step made again from the chain's latents before it."""
        asked = [
            StepRequest(one, number, chains[row, number].astype("<f4").tobytes())
            for row, one in enumerate(self.asked)
            for number in range(one.steps)
        ]
        made = self.model.steps(asked)
        rows = [np.frombuffer(one, dtype="<f4") for one in made if not isinstance(one, ValueError)]
        return np.array(rows, dtype=np.float32).reshape(len(chains), -1, chains.shape[2])


def measure(
    name: str, source: Path | None, prompts: int, seeds: int, *, dtype: str = "float32", device: str = "cpu"
) -> Calibration:
    """Run the gate as a verifier that computes in ``dtype`` on ``device``."""
    bench = Bench(load_image(name, source, dtype=dtype, device=device), prompts, seeds)
    info, first = bench.model.info, bench.asked[0]
    apart = spread(bench.between_seeds())
    cheats = {kind: spread(bench.against(drawn)) for kind, drawn in bench.cheap().items()}
    found, nearest = {}, FLOOR
    for miner in DTYPES:
        model = bench.model if miner == dtype else load_image(name, source, dtype=miner, device=device)
        found[miner] = _miners(bench, model, cheats, apart)
        if miner == dtype:
            nearest = max(FLOOR, *(one.mean_q999 for one in found[miner].honest.values()))
        _log.info("%s: %s", miner, found[miner].thresholds)
    return Calibration(
        model=info.id,
        digest=info.digest,
        dtype=info.dtype,
        device=info.device,
        steps=first.steps,
        guidance=first.guidance,
        width=first.width,
        height=first.height,
        latents=4 * int(np.prod(bench.model.sampler.shape(first.width, first.height))),
        prompts=prompts,
        seeds=seeds,
        seconds_per_picture=round(bench.seconds, 3),
        cheats=cheats,
        miners=found,
        seed_to_seed=apart,
        ratio=round(apart.mean_q01 / nearest, 1),
    )


def _miners(bench: Bench, model: DiffusersImageModel, cheats: dict[str, Spread], seeds: Spread) -> Miners:
    honest = {kind: bench.against(drawn) for kind, drawn in bench.honest(model).items()}
    every = spread(itertools.chain(*honest.values()))
    links: tuple[LinkLimits, ...] = ()
    if model.sampler.stepped:
        chains = bench.chains(model)
        links = link_limits(chains, bench.again(chains))
    return Miners(
        honest={kind: spread(rows) for kind, rows in honest.items()},
        thresholds=thresholds(every, cheats, seeds),
        links=links,
    )


def thresholds(honest: Spread, cheats: dict[str, Spread], seeds: Spread) -> Thresholds:
    """Between honest runs and the nearest cheat; proof lies half-way from there to other seeds."""
    same_mean = _between(honest.mean_q999, min(one.mean_q01 for one in cheats.values()), FLOOR)
    # Cheats that leave the averages as they are (enlarged pictures) are left to the mean.
    moved = [one.coarse_q01 for one in cheats.values() if one.coarse_q01 > honest.coarse_q999]
    same_coarse = _between(honest.coarse_q999, min(moved, default=0.0), FLOOR)
    return Thresholds(
        same_mean=round(same_mean, 4),
        same_coarse=round(same_coarse, 4),
        same_high=max(2.0, 2 * honest.high_q999),
        other_mean=round(_between(max(2 * honest.mean_q999, same_mean), seeds.mean_q01, FLOOR), 4),
    )


def link_limits(chains: Latents, again: Latents) -> tuple[LinkLimits, ...]:
    """For every step, between honest latents made again and the best that one who skips the step can offer."""
    apart = np.abs(chains[:, 1:] - again)
    means, highs = apart.mean(2), np.quantile(apart, 0.99, axis=2)
    skipped = _continued(chains)
    found = []
    for number in range(apart.shape[1]):
        honest, high = float(means[:, number].max()), float(highs[:, number].max())
        # The first step has none before it to go on from: who skips it has nothing that comes near.
        near = skipped[:, max(number - 1, 0)]
        nearest = float(np.quantile(near.mean(1), 0.01, method="lower"))
        nearest_high = float(np.quantile(np.quantile(near, 0.99, axis=1), 0.01, method="lower"))
        same = _between(honest, nearest, LINK_FLOOR)
        found.append(
            LinkLimits(
                same_mean=_short(same),
                same_high=_short(_between(high, nearest_high, 4 * LINK_FLOOR)),
                other_mean=_short(max(1.5 * same, nearest / 2, 3 * honest)),
                honest=_short(honest),
                skipped=_short(nearest),
            )
        )
    return tuple(found)


def _continued(chains: Latents) -> Latents:
    """Differences to what follows in the best straight continuation, (pictures, steps - 1, numbers)."""
    before = chains[:, 1:-1] - chains[:, :-2]
    after = chains[:, 2:] - chains[:, 1:-1]
    factor = (before * after).sum(2) / np.maximum((before * before).sum(2), 1e-12)
    apart: Latents = np.abs(after - factor[..., None] * before)
    return apart


def _between(honest: float, cheat: float, floor: float) -> float:
    """The geometric middle, with some room for honest runs where they lie close together."""
    base = max(honest, floor)
    return max(math.sqrt(base * max(cheat, base)), ROOM * base)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def rescaled(pixels: Pixels) -> Pixels:
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
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--dtype", default="float32", help="the verifier's")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    found = measure(
        *(chosen.model, chosen.source, chosen.prompts, chosen.seeds), dtype=chosen.dtype, device=chosen.device
    )
    chosen.out.write_text(found.model_dump_json(indent=1) + "\n")
    _log.info("ratio %.1f: %s", found.ratio, "passed" if found.passed else "NOT passed")


if __name__ == "__main__":
    main()
