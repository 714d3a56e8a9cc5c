"""Train the scenes model: ``python -m ranvier.engines.training.train_scenes --minutes 100 --sprites F --out F``.

Flow matching: x_t = (1 - t) x + t noise, the network predicts x, the loss is its squared error. A tenth of the
captions is dropped for guidance; scenes with a pair of `withheld` are never drawn. Weights are averaged exponentially
and saved as fp16 safetensors every 200 steps.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from ranvier.engines.image.caption import CaptionEncoder, Reading, encode_words
from ranvier.engines.image.draft import OBJECTS, placement
from ranvier.engines.image.unet import build_unet, clean_estimate, pack
from ranvier.engines.training.painting import Sprites, paint
from ranvier.engines.training.scenes import PLACES, SIZE, SIZES, Scene, captions
from ranvier.engines.training.sprites import load
from ranvier.engines.training.withheld import PAIRS, trained_scene

BATCH = 32
DROPPED = 0.1
DRAFTS = 64
"""Pictures of a step that trains drafts alone."""
SAVE_EVERY = 200
REACH = 1.15
"""Half the side of an object's canvas in radii of the object, as `painting` stamps things."""
UNSAID = (math.nan, math.nan, math.nan)
DECISIVE = 0.75
NO_FIGURES: dict[str, Any] = {"steps": 0, "draft_steps": 0, "cpu_minutes": 0.0, "withheld_from": 0}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is asked to do. ``start`` names a folder of an earlier run whose averaged weights are taken up."""

    out: Path
    minutes: float
    draft_minutes: float
    seed: int
    rate: float
    start: Path | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Pixels (n, 12, 16, 16), word numbers, and of the objects whatever was said of where they lie (else NaN)."""

    pixels: Any
    words: Any
    where: Any


def batch(rng: np.random.Generator, sprites: Sprites, pair: float, size: int = BATCH) -> Batch:
    """Fresh scenes: none is ever seen twice. ``pair`` is the share of scenes with two objects."""
    scenes = [trained_scene(rng, pair=pair) for _ in range(size)]
    pixels = torch.from_numpy(np.stack([paint(scene, rng, sprites) for scene in scenes]))
    told = [None if rng.random() < DROPPED else scene for scene in scenes]
    words = encode_words([scene.caption() if scene else "" for scene in told])
    where = torch.tensor([_whereabouts(scene) if scene else [UNSAID] * OBJECTS for scene in told])
    return Batch(pack(pixels), words, where)


def _whereabouts(scene: Scene) -> list[tuple[float, float, float]]:
    found = []
    for thing in (scene.first, scene.second):
        middle = (SIZE / 2, SIZE / 2) if scene.second is None else (math.nan, math.nan)
        half = REACH * SIZES[thing.size] if thing and thing.size else math.nan
        across, down = PLACES[thing.place] if thing and thing.place else middle
        found.append(placement(across, down, half) if thing else UNSAID)
    return found


def noise_shares(count: int) -> Any:
    """Shares in (0, 1): three quarters about .85, where it is decided what becomes of a blob, the rest everywhere."""
    decisive = torch.rand(count) < DECISIVE
    return torch.sigmoid(torch.where(decisive, 1.7 + 0.9 * torch.randn(count), 1.2 * torch.randn(count)))


def loss_of(unet: Any, encoder: Any, shown: Batch) -> Any:
    """Squared error of the clean estimate at random noise shares, heavier where little noise is left."""
    pixels, words = shown.pixels, shown.words
    share = noise_shares(len(pixels))
    wide = share[:, None, None, None]
    noisy = (1 - wide) * pixels + wide * torch.randn_like(pixels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reading = encoder(words)
        seen = replace(reading, drafts=reading.drafts.detach())
        estimate = clean_estimate(unet, noisy, share, seen)
    error = (estimate.float() - pixels) ** 2
    return (error.mean((1, 2, 3)) / (share + 0.2)).mean() + draft_loss(reading, shown)


def draft_loss(reading: Reading, shown: Batch) -> Any:
    """Squared error of the drafts, and of where their objects lie."""
    missed = ((pack(reading.drafts) - shown.pixels) ** 2).mean()
    astray = torch.where(shown.where.isnan(), 0, reading.where - shown.where) ** 2
    return missed + astray.mean()


def save(folder: Path, unet: Any, encoder: Any, facts: dict[str, Any]) -> None:
    """fp16 weights of both networks and the figures of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in (("unet", unet), ("caption", encoder)):
        tensors = {key: value.half().contiguous() for key, value in network.state_dict().items()}
        fresh = folder / f"{name}.safetensors.new"
        save_file(tensors, fresh)
        fresh.replace(folder / f"{name}.safetensors")
    (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


def train(run: Run, sprites: Sprites) -> None:
    """Train drafts, then everything; save as it goes.

    Scenes begin with one object mostly, and in the end half of them hold two.
    """
    torch.manual_seed(run.seed)
    rng = np.random.default_rng(run.seed)
    unet, encoder = build_unet(), CaptionEncoder()
    before = _take_up(run.start, unet, encoder) if run.start else NO_FIGURES
    cpu = time.process_time()
    drafted = train_drafts(encoder, rng, sprites, run.draft_minutes, run.rate)
    # The fused attention is slow backwards in bfloat16; convolutions and products are several times faster in it.
    unet.set_attn_processor(AttnProcessor())
    average = copy.deepcopy((unet, encoder))
    optimiser = _optimiser([*unet.parameters(), *encoder.parameters()])
    smooth = 0.0
    for step, spent in _steps(run.minutes):
        loss = loss_of(unet, encoder, batch(rng, sprites, 0.15 + 0.35 * spent))
        _learn(optimiser, loss, _rate(run.rate, step, spent))
        smooth = loss.item() if step == 1 else 0.98 * smooth + 0.02 * loss.item()
        _follow(average, (unet, encoder), min(0.995, step / (step + 9)))
        if step % SAVE_EVERY == 0 or spent == 1:
            figures = {
                **before,
                "steps": before["steps"] + step,
                "draft_steps": before["draft_steps"] + drafted,
                "cpu_minutes": round(before["cpu_minutes"] + (time.process_time() - cpu) / 60, 1),
                "batch": BATCH,
                "seed": run.seed,
                "loss": round(smooth, 4),
                "captions": captions(),
                "withheld_pairs": PAIRS,
            }
            save(run.out, *average, figures)
            _log.info("%s", figures)


def train_drafts(
    encoder: CaptionEncoder, rng: np.random.Generator, sprites: Sprites, minutes: float, rate: float
) -> int:
    """Train the encoder alone to draft, by which it learns what the words mean; returns the steps."""
    optimiser, step = _optimiser(list(encoder.parameters())), 0
    for step, spent in _steps(minutes):
        shown = batch(rng, sprites, 0.3, DRAFTS)
        with sdpa_kernel(SDPBackend.MATH):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                reading = encoder(shown.words)
            loss = draft_loss(reading, shown)
            _learn(optimiser, loss, _rate(rate, step, spent))
        if step % SAVE_EVERY == 0:
            _log.info("drafts: step %d, loss %.4f", step, loss.item())
    return step


def _steps(minutes: float) -> Iterator[tuple[int, float]]:
    """Numbers from 1, and the share of ``minutes`` of wall clock that is spent; the last one's is 1."""
    started = time.monotonic()
    for step in itertools.count(1) if minutes > 0 else ():
        spent = min(1.0, (time.monotonic() - started) / 60 / minutes)
        yield step, spent
        if spent == 1:
            return


def _rate(rate: float, step: int, spent: float) -> float:
    """Rises for a hundred steps, then falls to a fiftieth with the time."""
    return rate * min(1.0, step / 100) * (1 - 0.98 * spent)


def _optimiser(weights: list[Any]) -> Any:
    return torch.optim.AdamW(weights, weight_decay=0.01, betas=(0.9, 0.99), fused=True)


def _learn(optimiser: Any, loss: Any, rate: float) -> None:
    optimiser.zero_grad()
    loss.backward()
    for group in optimiser.param_groups:
        group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimiser.step()


def _take_up(start: Path, unet: Any, encoder: Any) -> dict[str, Any]:
    """Load an earlier run's weights; its figures are returned and added to."""
    for name, network in (("unet", unet), ("caption", encoder)):
        network.load_state_dict(load_file(start / f"{name}.safetensors"))
    figures: dict[str, Any] = NO_FIGURES | json.loads((start / "training.json").read_text())
    return figures


def _follow(average: tuple[Any, Any], present: tuple[Any, Any], keep: float) -> None:
    with torch.no_grad():
        for old, new in zip(average, present, strict=True):
            for kept, fresh in zip(old.state_dict().values(), new.state_dict().values(), strict=True):
                if kept.dtype.is_floating_point:
                    kept.lerp_(fresh, 1 - keep)
                else:
                    kept.copy_(fresh)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=80, help="wall clock for everything")
    parser.add_argument("--draft-minutes", type=float, default=20, help="before that, for drafts alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--start", type=Path, help="folder of an earlier run to go on from")
    parser.add_argument("--sprites", type=Path, required=True, help="folder for the artists' packages")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(chosen.threads)
    run = Run(chosen.out, chosen.minutes, chosen.draft_minutes, chosen.seed, chosen.rate, chosen.start)
    train(run, load(chosen.sprites))


if __name__ == "__main__":
    main()
