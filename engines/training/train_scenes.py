"""Train the scenes model: ``python -m ranvier.engines.training.train_scenes --minutes 40 --out FOLDER``.

Flow matching: x_t = (1 - t) x + t noise, the network predicts x, the loss is its squared error. A tenth of the
captions is dropped for guidance. Weights are averaged exponentially and saved as fp16 safetensors every 200 steps.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ranvier.engines.image.caption import CaptionEncoder, encode_words
from ranvier.engines.image.unet import build_unet, clean_estimate, pack
from ranvier.engines.training.scenes import captions, draw_scene, paint

BATCH = 32
DROPPED = 0.1
SAVE_EVERY = 200
_log = logging.getLogger(__name__)


def batch(rng: np.random.Generator) -> tuple[Any, Any]:
    """Pixels (n, 12, 16, 16) and word numbers of fresh scenes: no scene is ever seen twice."""
    scenes = [draw_scene(rng) for _ in range(BATCH)]
    pixels = torch.from_numpy(np.stack([paint(scene, rng) for scene in scenes]))
    words = encode_words(["" if rng.random() < DROPPED else scene.caption() for scene in scenes])
    return pack(pixels), words


def loss_of(unet: Any, encoder: Any, pixels: Any, words: Any) -> Any:
    """Squared error of the clean estimate at random noise shares, heavier where little noise is left."""
    share = torch.sigmoid(torch.randn(len(pixels)) * 1.2 + 0.4)
    wide = share[:, None, None, None]
    noisy = (1 - wide) * pixels + wide * torch.randn_like(pixels)
    states, mask = encoder(words)
    error = (clean_estimate(unet, noisy, share, states, mask) - pixels) ** 2
    return (error.mean((1, 2, 3)) / (share + 0.2)).mean()


def save(folder: Path, unet: Any, encoder: Any, facts: dict[str, Any]) -> None:
    """fp16 weights of both networks and the figures of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in (("unet", unet), ("caption", encoder)):
        tensors = {key: value.half().contiguous() for key, value in network.state_dict().items()}
        fresh = folder / f"{name}.safetensors.new"
        save_file(tensors, fresh)
        fresh.replace(folder / f"{name}.safetensors")
    (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


def train(folder: Path, minutes: float, seed: int, rate: float, start: Path | None = None) -> None:
    """Train for ``minutes`` of wall clock; the learning rate warms up for 100 steps and falls to a tenth.

    ``start`` names a folder of an earlier run whose averaged weights are taken up.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    unet, encoder = build_unet().to(memory_format=torch.channels_last), CaptionEncoder()
    before = _take_up(start, unet, encoder) if start else {"steps": 0, "cpu_minutes": 0.0}
    average = copy.deepcopy((unet, encoder))
    weights = [*unet.parameters(), *encoder.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=0.01)
    started, cpu, step, smooth = time.monotonic(), time.process_time(), 0, 1.0
    while (spent := (time.monotonic() - started) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100) * (1 - 0.9 * spent)
        loss = loss_of(unet, encoder, *batch(rng))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        smooth, step = 0.98 * smooth + 0.02 * loss.item(), step + 1
        _follow(average, (unet, encoder), min(0.995, (step + 1) / (step + 10)))
        if step % SAVE_EVERY == 0:
            facts = {
                "steps": before["steps"] + step,
                "batch": BATCH,
                "seed": seed,
                "cpu_minutes": round(before["cpu_minutes"] + (time.process_time() - cpu) / 60, 1),
                "loss": round(smooth, 4),
                "captions": captions(),
            }
            save(folder, *average, facts)
            _log.info("%s", facts)
    save(folder, *average, {**facts, "steps": before["steps"] + step, "loss": round(smooth, 4)})


def _take_up(start: Path, unet: Any, encoder: Any) -> dict[str, Any]:
    """Load an earlier run's weights; its figures are returned and added to."""
    for name, network in (("unet", unet), ("caption", encoder)):
        network.load_state_dict(load_file(start / f"{name}.safetensors"))
    figures: dict[str, Any] = json.loads((start / "training.json").read_text())
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
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--start", type=Path, help="folder of an earlier run to go on from")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(chosen.threads)
    train(chosen.out, chosen.minutes, chosen.seed, chosen.rate, chosen.start)


if __name__ == "__main__":
    main()
