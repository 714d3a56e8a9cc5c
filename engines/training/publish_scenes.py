"""Make the shipped pipeline of a training run: ``python -m ranvier.engines.training.publish_scenes RUN FOLDER``."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ranvier.engines.image.caption import CaptionEncoder
from ranvier.engines.image.pipeline import ScenesPipeline
from ranvier.engines.image.unet import build_unet


def publish(run: Path, folder: Path) -> None:
    """Write the averaged weights of ``run`` as an fp16 pipeline, with the figures of the run beside it."""
    parts: dict[str, Any] = {"unet": build_unet(), "caption": CaptionEncoder()}
    for name, network in parts.items():
        network.load_state_dict(load_file(run / f"{name}.safetensors"))
        network.to(torch.float16).eval()
    ScenesPipeline(**parts).save_pretrained(folder, safe_serialization=True)
    shutil.copyfile(run / "training.json", folder / "training.json")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    publish(chosen.run, chosen.folder)


if __name__ == "__main__":
    main()
