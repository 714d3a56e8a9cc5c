"""A diffusers pipeline as a served model: our own scenes, or any text-to-image pipeline in safetensors."""

from __future__ import annotations

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.image.calibration import SHIPPED
from ranvier.engines.image.noise import noise_generator
from ranvier.engines.image.pipeline import GUIDANCE, STEPS, ScenesPipeline
from ranvier.engines.image.png import Pixels
from ranvier.engines.models import ImageRequest, ModelInfo

SCENES: Final = "scenes"
SEEDED_NOISE: Final = "seeded-noise-v1"
MAX_BATCH: Final = 16
DEFAULT_SIZE: Final = 512


class DiffusersImageModel:
    """An `ImageModel`. Blocking; owned by one thread."""

    def __init__(self, name: str, pipeline: Any, *, digest: str, dtype: str, device: str) -> None:
        self._pipeline = pipeline
        pipeline.set_progress_bar_config(disable=True)
        side = _side(pipeline)
        self._info = ModelInfo(
            id=name,
            kind="image",
            digest=digest,
            dtype=dtype,
            device=device,
            features=(SEEDED_NOISE,),
            extra={"width": side, "height": side, "steps": STEPS, "guidance": GUIDANCE},
        )

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        return self._info

    def generate(self, requests: Sequence[ImageRequest]) -> list[bytes]:
        """One PNG for each request; those of equal steps, guidance and size share batches."""
        groups: dict[tuple[int, float, int, int], list[int]] = defaultdict(list)
        for number, asked in enumerate(requests):
            groups[asked.steps, asked.guidance, asked.width, asked.height].append(number)
        found = [b""] * len(requests)
        for numbers in groups.values():
            for start in range(0, len(numbers), MAX_BATCH):
                chosen = numbers[start : start + MAX_BATCH]
                batch = [requests[number] for number in chosen]
                for number, pixels in zip(chosen, self.draw(batch), strict=True):
                    found[number] = self.encode(pixels, requests[number].steps)
        return found

    def draw(self, batch: Sequence[ImageRequest]) -> list[Pixels]:
        """The pixels of one batch; all requests must agree in steps, guidance and size."""
        first = batch[0]
        made = self._pipeline(
            prompt=[asked.prompt for asked in batch],
            height=first.height,
            width=first.width,
            num_inference_steps=first.steps,
            guidance_scale=first.guidance,
            generator=[noise_generator(asked.seed) for asked in batch],
            output_type="np",
        ).images
        return list(np.rint(made * 255).astype(np.uint8))

    def encode(self, pixels: Pixels, steps: int) -> bytes:
        """As PNG, with the model's digest and the steps as text. Nothing else about the run is told."""
        text = PngInfo()
        text.add_text("model", self._info.digest)
        text.add_text("steps", str(steps))
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", pnginfo=text)
        return file.getvalue()


def load_image(
    name: str, source: str | Path | None = None, *, device: str = "cpu", dtype: str = "float32"
) -> DiffusersImageModel:
    """``scenes``, or a pipeline from a folder or hub id; safetensors only, no code of the model's.

    Raises `ModelNotFound`.
    """
    place = SHIPPED if source is None and name == SCENES else Path(source or name)
    try:
        folder = (
            place if place.is_dir() else Path(DiffusionPipeline.download(str(place), use_safetensors=True))
        )
        index = json.loads((folder / "model_index.json").read_text())
        kind = ScenesPipeline if index["_class_name"] == ScenesPipeline.__name__ else DiffusionPipeline
        pipeline = kind.from_pretrained(folder, dtype=getattr(torch, dtype), use_safetensors=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotFound(
            name,
            str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
            "Name `scenes`, a folder of a diffusers pipeline in safetensors, or a hub id.",
        ) from error
    return DiffusersImageModel(
        name, pipeline.to(device), digest=pipeline_digest(folder), dtype=dtype, device=device
    )


def pipeline_digest(folder: Path) -> str:
    """SHA-256 hex over weights, configurations and vocabularies; notes and measurements do not count."""
    index = folder / "model_index.json"
    parts = [
        path for path in folder.glob("*/*") if path.suffix in {".safetensors", ".json", ".txt", ".model"}
    ]
    total = hashlib.sha256()
    for path in (index, *sorted(parts)):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        total.update(str(path.relative_to(folder)).encode() + b"\0" + content)
    return total.hexdigest()


def _side(pipeline: Any) -> int:
    """The side of the pictures that a pipeline is made for."""
    if isinstance(pipeline, ScenesPipeline):
        return int(pipeline.unet.config.sample_size) * 2
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    sample = getattr(getattr(network, "config", None), "sample_size", None)
    return (
        int(sample) * int(getattr(pipeline, "vae_scale_factor", 8))
        if isinstance(sample, int)
        else DEFAULT_SIZE
    )
