"""A diffusers pipeline as a served model: our own scenes, or any text-to-image pipeline in safetensors."""

from __future__ import annotations

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ranvier.engines import memory
from ranvier.engines.errors import ModelNotFound, NoRoom
from ranvier.engines.image.calibration import SHIPPED
from ranvier.engines.image.pipeline import GUIDANCE, STEPS, ScenesPipeline
from ranvier.engines.image.png import Pixels
from ranvier.engines.image.sampler import OrdinarySampler, Sampler, sampler_of
from ranvier.engines.models import (
    LATENT_STEPS,
    SEEDED_NOISE,
    DecodeRequest,
    ImageRequest,
    ModelInfo,
    StepRequest,
    Trace,
)
from ranvier.engines.wide import widen

SCENES: Final = "scenes"
MAX_BATCH: Final = 16
MAX_STEPS: Final = 100
MAX_PIXELS: Final = 1 << 20
"""Of one picture; more where the model is made for more."""
BATCH_PIXELS: Final = 4 << 20
"""Of all pictures of a batch."""
DEFAULT_SIZE: Final = 512
ORDINARY_STEPS: Final = 30
ORDINARY_GUIDANCE: Final = 7.5
Progress = Callable[[int, Sequence[int]], bool]
"""After every step: the step's number from 1, and the places of the requests in this batch; False ends it."""
T = TypeVar("T")
V = TypeVar("V")


class Abandoned(Exception):
    """Nobody waits for these pictures any more."""


class DiffusersImageModel:
    """An `ImageModel`. Blocking; owned by one thread."""

    def __init__(
        self, name: str, pipeline: Any, *, digest: str, dtype: str, device: str, safety: str = "none"
    ) -> None:
        self.pipeline = pipeline
        """As diffusers knows it."""
        pipeline.set_progress_bar_config(disable=True)
        self.sampler: Sampler = sampler_of(pipeline)
        own = isinstance(pipeline, ScenesPipeline)
        self._side = _side(pipeline)
        self._info = ModelInfo(
            id=name,
            kind="image",
            digest=digest,
            dtype=dtype,
            device=device,
            features=_features(self.sampler, dtype),
            extra={
                "width": self._side,
                "height": self._side,
                "steps": STEPS if own else ORDINARY_STEPS,
                "guidance": GUIDANCE if own else ORDINARY_GUIDANCE,
                "safety": safety,
            },
        )

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        return self._info

    def generate(
        self, requests: Sequence[ImageRequest], progress: Progress | None = None
    ) -> list[bytes | ValueError]:
        """One PNG for each request, or why there is none; those of equal steps, guidance and size share batches.

        Raises `NoRoom`, and `Abandoned` where ``progress`` says False.
        """
        return [one if isinstance(one, ValueError) else one.png for one in self._drawn(requests, progress)]

    def trace(
        self, requests: Sequence[ImageRequest], progress: Progress | None = None
    ) -> list[Trace | ValueError]:
        """As `generate`, with the latents after every step. Raises ValueError where steps cannot be made again."""
        self._require_steps()
        return self._drawn(requests, progress, keep=True)

    def steps(self, requests: Sequence[StepRequest]) -> list[bytes | ValueError]:
        """The latents after one step each, from those before it; before the first is the seeded noise.

        For numbers and latents that do not fit there is a ValueError. Raises one where steps cannot be made again.
        """
        self._require_steps()
        found, before = _sorted_out(requests, self._before)
        sound = [(number, requests[number]) for number in before]
        for numbers in _alike(sound, lambda one: (one.number, _form(one.image)), MAX_BATCH):
            batch = [requests[number].image for number in numbers]
            latents = torch.stack([before[number] for number in numbers])
            with self._memory():
                after = self.sampler.step(batch, requests[numbers[0]].number, latents)
            found.update(zip(numbers, map(_raw, after), strict=True))
        return [found[number] for number in range(len(requests))]

    def decode(self, requests: Sequence[DecodeRequest]) -> list[bytes | ValueError]:
        """The PNG of final latents, or why there is none. Raises ValueError where steps cannot be made again."""
        self._require_steps()
        found, given = _sorted_out(
            requests, lambda asked: self._latents(asked.latents, asked.width, asked.height)
        )
        sound = [(number, requests[number]) for number in given]
        for numbers in _alike(sound, lambda one: (one.width, one.height), MAX_BATCH):
            with self._memory():
                made = self.sampler.decode(torch.stack([given[number] for number in numbers]))
            for number, one in zip(numbers, made, strict=True):
                found[number] = one if isinstance(one, ValueError) else self.encode(one, None)
        return [found[number] for number in range(len(requests))]

    def _drawn(
        self, requests: Sequence[ImageRequest], progress: Progress | None, *, keep: bool = False
    ) -> list[Trace | ValueError]:
        found, checked = _sorted_out(requests, self._check)
        for numbers in _alike([(number, requests[number]) for number in checked], _form, MAX_BATCH):
            first = requests[numbers[0]]
            most = max(1, BATCH_PIXELS // (first.width * first.height))
            for start in range(0, len(numbers), most):
                part = numbers[start : start + most]
                drawn = self._batch([requests[number] for number in part], part, progress, keep=keep)
                found.update(zip(part, drawn, strict=True))
        return [found[number] for number in range(len(requests))]

    def _batch(
        self, batch: Sequence[ImageRequest], places: Sequence[int], progress: Progress | None, *, keep: bool
    ) -> list[Trace | ValueError]:
        kept: list[list[bytes]] = [[] for _ in batch]

        def watch(step: int, latents: Any) -> None:
            if keep:
                for row, one in zip(kept, latents, strict=True):
                    row.append(_raw(one))
            if progress is not None and not progress(step + 1, places):
                raise Abandoned

        with self._memory():
            drawn = self.sampler.draw(batch, watch)
        return [
            one if isinstance(one, ValueError) else Trace(self.encode(one, asked.steps), tuple(row))
            for one, asked, row in zip(drawn, batch, kept, strict=True)
        ]

    def draw(self, batch: Sequence[ImageRequest]) -> list[Pixels]:
        """The pixels of one batch; all requests must agree in steps, guidance and size. Raises `Flagged`."""
        drawn = []
        for one in self.sampler.draw(batch):
            if isinstance(one, ValueError):
                raise one
            drawn.append(one)
        return drawn

    def encode(self, pixels: Pixels, steps: int | None) -> bytes:
        """As PNG, with the model's digest and the steps as text. Prompt and seed are the caller's and not told."""
        text = PngInfo()
        text.add_text("model", self._info.digest)
        if steps is not None:
            text.add_text("steps", str(steps))
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", pnginfo=text)
        return file.getvalue()

    def _check(self, asked: ImageRequest) -> None:
        if not 1 <= asked.steps <= MAX_STEPS:
            raise ValueError(f"steps: {asked.steps} is not within 1 to {MAX_STEPS}")
        most = max(MAX_PIXELS, self._side**2)
        if asked.width * asked.height > most:
            raise ValueError(
                f"size: {asked.width}x{asked.height} is too large, this engine draws at most {most} pixels"
            )
        self.sampler.shape(asked.width, asked.height)

    def _require_steps(self) -> None:
        if not self.sampler.stepped:
            kind = type(getattr(self.pipeline, "scheduler", self.pipeline)).__name__
            raise ValueError(
                f"steps of {self._info.id} cannot be made again one by one ({kind}); a Stable Diffusion pipeline with "
                "a DDIMScheduler or an EulerDiscreteScheduler can"
            )

    def _before(self, asked: StepRequest) -> Any:
        image = asked.image
        self._check(image)
        if not 0 <= asked.number < image.steps:
            raise ValueError(f"step {asked.number} is not one of {image.steps}, counted from 0")
        if asked.number == 0:
            return self.sampler.noise([image.seed], image.width, image.height)[0]
        return self._latents(asked.latents, image.width, image.height)

    def _latents(self, raw: bytes, width: int, height: int) -> Any:
        """Of bytes that anybody may have sent."""
        shape = self.sampler.shape(width, height)
        if len(raw) != 4 * int(np.prod(shape)):
            raise ValueError(f"latents: {len(raw)} bytes are not {shape} numbers of single precision")
        values = np.frombuffer(raw, dtype="<f4")
        if not np.isfinite(values).all():
            raise ValueError("latents: not all of the numbers are finite")
        return torch.from_numpy(values.copy()).reshape(shape)

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Raises `NoRoom` where the device or the system has no memory for a batch."""
        try:
            yield
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise NoRoom(self._side**2, unit="pixels") from error
        except RuntimeError as error:  # what torch raises for the CPU has no class of its own
            if "can't allocate memory" not in str(error):
                raise
            raise NoRoom(self._side**2, unit="pixels") from error


def load_image(
    name: str,
    source: str | Path | None = None,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    safety: bool = True,
    served_as: str = "",
) -> DiffusersImageModel:
    """``scenes``, or a pipeline from a folder or hub id; safetensors only, no code of the model's.

    It declares the name ``served_as``, by default ``name``.
    Without ``safety`` a pipeline's own safety checker is not loaded. Raises `ModelNotFound`.
    """
    place = SHIPPED if source is None and name == SCENES else Path(source or name)
    try:
        folder = (
            place if place.is_dir() else Path(DiffusionPipeline.download(str(place), use_safetensors=True))
        )
        index = json.loads((folder / "model_index.json").read_text())
        kind = ScenesPipeline if index["_class_name"] == ScenesPipeline.__name__ else DiffusionPipeline
        checked = "safety_checker" in index
        more = {"safety_checker": None, "requires_safety_checker": False} if checked and not safety else {}
        # A draft of bfloat16 would be half a level off everywhere; the encoder is small.
        chosen = getattr(torch, dtype)
        precise = {"caption": torch.float32, "default": chosen} if kind is ScenesPipeline else chosen
        pipeline = kind.from_pretrained(folder, dtype=precise, use_safetensors=True, **more)
        said = "none" if getattr(pipeline, "safety_checker", None) is None else "on"
        pipeline.to(device)
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                # A picture is judged by its pixels, to which last bits add up: they must not depend on the batch.
                widen(part, memory.free() // 2, torch.float64)
        return DiffusersImageModel(
            *(served_as or name, pipeline),
            digest=pipeline_digest(folder),
            dtype=dtype,
            device=device,
            safety="off" if more else said,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelNotFound(
            name,
            str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
            "Name `scenes`, a folder of a text-to-image pipeline in safetensors, or a hub id.",
        ) from error


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


def _features(sampler: Sampler, dtype: str) -> tuple[str, ...]:
    """What holds of a pipeline: one that draws its noise itself draws another in another dtype."""
    seeded = dtype == "float32" or not isinstance(sampler, OrdinarySampler) or sampler.same_everywhere
    return (*((SEEDED_NOISE,) if seeded else ()), *((LATENT_STEPS,) if sampler.stepped else ()))


def _form(asked: ImageRequest) -> tuple[int, float, int, int]:
    """What pictures of one batch have in common."""
    return asked.steps, asked.guidance, asked.width, asked.height


def _sorted_out(requests: Sequence[T], check: Callable[[T], V]) -> tuple[dict[int, Any], dict[int, V]]:
    """Why some requests cannot be carried out, and what was checked of the others, by place.

    One caller's bad request must not fail those of others in its batch.
    """
    faults: dict[int, Any] = {}
    sound: dict[int, V] = {}
    for number, asked in enumerate(requests):
        try:
            sound[number] = check(asked)
        except ValueError as error:
            faults[number] = error
    return faults, sound


def _alike(
    requests: Sequence[tuple[int, T]], form: Callable[[T], Hashable], most: int
) -> Iterable[list[int]]:
    """Places of requests of the same form, at most so many at a time."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, asked in requests:
        groups[form(asked)].append(number)
    for numbers in groups.values():
        for start in range(0, len(numbers), most):
            yield numbers[start : start + most]


def _raw(latents: Any) -> bytes:
    raw: bytes = latents.float().cpu().numpy().astype("<f4").tobytes()
    return raw


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
