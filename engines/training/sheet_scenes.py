"""Draw a sheet to look at: a row for each prompt, a column for each seed.

python -m ranvier.engines.training.sheet_scenes --model scenes --out docs/images/scenes.png
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ranvier.engines.image.model import load_image
from ranvier.engines.image.pipeline import GUIDANCE, STEPS
from ranvier.engines.models import ImageRequest
from ranvier.engines.training.scenes import SIZE

PROMPTS: Final = (
    "a large red circle at the top left and a small yellow star at the bottom right on a plain blue ground",
    "a green triangle at the top and a pink ring at the bottom on a plain white ground",
    "a large purple cross on a plain yellow ground",
    "a blue square at the left and an orange diamond at the right on a spotted grey ground",
    "a small white crescent at the top right on a shaded black ground",
    "a large apple on a plain white ground",
    "a large panda at the left on a plain orange ground",
    "a rocket at the top right on a shaded blue ground",
    "a large pizza at the bottom on a striped green ground",
    "a cat at the left and a fish at the right on a plain teal ground",
    "a large tree at the right and a red circle at the left on a shaded pink ground",
    "a small frog at the bottom left and a large butterfly at the top right on a plain grey ground",
)
SEEDS: Final = 8
SCALE: Final = 3
GAP: Final = 2


def sheet(model: str, steps: int, guidance: float) -> Image.Image:
    """The sheet, every picture enlarged without smoothing."""
    image_model = load_image(model)
    cell = SIZE * SCALE + GAP
    canvas = np.full((cell * len(PROMPTS), cell * SEEDS, 3), 255, dtype=np.uint8)
    for row, prompt in enumerate(PROMPTS):
        asked = [
            ImageRequest(prompt, bytes([seed] * 32), steps, guidance, SIZE, SIZE) for seed in range(SEEDS)
        ]
        for column, pixels in enumerate(image_model.draw(asked)):
            large = pixels.repeat(SCALE, 0).repeat(SCALE, 1)
            top, left = row * cell, column * cell
            canvas[top : top + SIZE * SCALE, left : left + SIZE * SCALE] = large
    return Image.fromarray(canvas)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    chosen = parser.parse_args()
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    sheet(chosen.model, chosen.steps, chosen.guidance).save(chosen.out, optimize=True)


if __name__ == "__main__":
    main()
