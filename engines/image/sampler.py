"""How pictures come about in a pipeline: noise, steps, decoding; for our scenes and for ordinary diffusers pipelines.

The noise is drawn here, on the CPU and in single precision, and only then cast: drawn in bfloat16 it would be another
noise than in float32, and the same seed another picture.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import numpy as np
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline

from ranvier.engines.image.noise import noise_generator
from ranvier.engines.image.pipeline import ScenesPipeline
from ranvier.engines.image.png import Pixels
from ranvier.engines.image.unet import BLOCK, SIZE
from ranvier.engines.models import ImageRequest

REPEATABLE: Final = (DDIMScheduler, EulerDiscreteScheduler)
"""Schedulers whose step is a function of the latents alone: no history, no fresh noise."""
Watch = Callable[[int, Any], None]
"""Called after every step with its number from 0 and the latents of the batch; what it raises ends the drawing."""


class Flagged(ValueError):
    """The pipeline's own safety checker turned a picture away."""

    def __init__(self) -> None:
        super().__init__(
            "content: the model's safety checker flagged this picture; ask for another one, or serve the model with "
            "safety off"
        )


class Sampler(Protocol):
    """One pipeline. All requests of a batch agree in steps, guidance and size."""

    @property
    def stepped(self) -> bool:
        """Whether a step can be made again from latents, alone."""

    def shape(self, width: int, height: int) -> tuple[int, ...]:
        """Of the latents of a picture; raises ValueError for sizes that the pipeline cannot draw."""

    def noise(self, seeds: Sequence[bytes], width: int, height: int) -> Any:
        """Seeded noise of pictures, on the CPU."""

    def draw(self, batch: Sequence[ImageRequest], watch: Watch | None = None) -> list[Pixels | Flagged]:
        """The pictures."""

    def step(self, batch: Sequence[ImageRequest], number: int, latents: Any) -> Any:
        """The latents after step ``number``, from those before it."""

    def decode(self, latents: Any) -> list[Pixels | Flagged]:
        """The pictures of final latents."""


def sampler_of(pipeline: Any) -> Sampler:
    """The way to draw with a pipeline; raises ValueError for one that draws no pictures of texts."""
    if isinstance(pipeline, ScenesPipeline):
        return ScenesSampler(pipeline)
    if "prompt" not in inspect.signature(type(pipeline).__call__).parameters:
        raise ValueError(f"{type(pipeline).__name__} takes no prompt: it draws no pictures of texts")
    return OrdinarySampler(pipeline)


class ScenesSampler:
    """The scenes pipeline: pixels are its latents."""

    stepped = True

    def __init__(self, pipeline: ScenesPipeline) -> None:
        self._pipeline = pipeline

    def shape(self, width: int, height: int) -> tuple[int, ...]:
        """Blocks of 2x2 pixels."""
        if (width, height) != (SIZE, SIZE):
            raise ValueError(f"this model draws {SIZE}x{SIZE} pixels, not {width}x{height}")
        return 3 * BLOCK**2, SIZE // BLOCK, SIZE // BLOCK

    def noise(self, seeds: Sequence[bytes], width: int, height: int) -> Any:
        """One generator for each picture."""
        return _noise(seeds, self.shape(width, height))

    def draw(self, batch: Sequence[ImageRequest], watch: Watch | None = None) -> list[Pixels | Flagged]:
        """By the pipeline, as anybody may call it."""
        first = batch[0]
        made = self._pipeline(
            [asked.prompt for asked in batch],
            first.height,
            first.width,
            first.steps,
            first.guidance,
            latents=self.noise([asked.seed for asked in batch], first.width, first.height),
            output_type="np",
            callback_on_step_end=_callback(watch),
        ).images
        return _bytes(made)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self, batch: Sequence[ImageRequest], number: int, latents: Any) -> Any:
        """One Euler step."""
        first, reading = batch[0], self._pipeline.read([asked.prompt for asked in batch])
        numbers = [number] * len(batch)
        here = latents.to(self._pipeline.device)
        return self._pipeline.step(here, reading, numbers, first.steps, first.guidance).cpu()

    def decode(self, latents: Any) -> list[Pixels | Flagged]:
        """Unpack the blocks."""
        return _bytes(self._pipeline.decode(latents))


class OrdinarySampler:
    """Any text-to-image pipeline of diffusers."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._takes = frozenset(inspect.signature(type(pipeline).__call__).parameters)
        self._latents = hasattr(pipeline, "unet") and hasattr(pipeline, "vae") and "latents" in self._takes

    @property
    def stepped(self) -> bool:
        """Stable Diffusion with a scheduler that remembers nothing."""
        return isinstance(self._pipeline, StableDiffusionPipeline) and isinstance(
            self._pipeline.scheduler, REPEATABLE
        )

    @property
    def same_everywhere(self) -> bool:
        """Whether seeds mean the same in every dtype: so where we draw the noise."""
        return self._latents

    def shape(self, width: int, height: int) -> tuple[int, ...]:
        """Of the autoencoder's latents."""
        scale = int(getattr(self._pipeline, "vae_scale_factor", 8))
        if width % scale or height % scale:
            raise ValueError(f"this model draws sides that are multiples of {scale}, not {width}x{height}")
        unet = getattr(self._pipeline, "unet", None)
        return int(unet.config.in_channels) if unet is not None else 0, height // scale, width // scale

    def noise(self, seeds: Sequence[bytes], width: int, height: int) -> Any:
        """One generator for each picture."""
        return _noise(seeds, self.shape(width, height))

    def draw(self, batch: Sequence[ImageRequest], watch: Watch | None = None) -> list[Pixels | Flagged]:
        """By the pipeline, with our noise where it takes any, and its own from our generators where not."""
        first = batch[0]
        self.shape(first.width, first.height)
        seeds = [asked.seed for asked in batch]
        more: dict[str, Any] = {}
        if self._latents:
            more["latents"] = self.noise(seeds, first.width, first.height).to(self._pipeline.unet.dtype)
        else:
            more["generator"] = [noise_generator(seed) for seed in seeds]
        if "callback_on_step_end" in self._takes:
            more["callback_on_step_end"] = _callback(watch)
        return _checked(self._call(batch, output_type="np", **more))

    def step(self, batch: Sequence[ImageRequest], number: int, latents: Any) -> Any:
        """The pipeline with all its steps but one left out."""
        with one_step(self._pipeline, number, batch[0].steps):
            given = latents.to(self._pipeline.unet.dtype)
            made = self._call(batch, latents=given, output_type="latent").images
        return made.float().cpu()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def decode(self, latents: Any) -> list[Pixels | Flagged]:
        """By the autoencoder, and past the safety checker if there is one."""
        pipeline = self._pipeline
        here = latents.to(pipeline.device, pipeline.vae.dtype) / pipeline.vae.config.scaling_factor
        decoded = pipeline.vae.decode(here, return_dict=False)[0]
        looked, flagged = pipeline.run_safety_checker(decoded, pipeline.device, pipeline.unet.dtype)
        made = pipeline.image_processor.postprocess(
            looked, output_type="np", do_denormalize=[not one for one in flagged or [False] * len(looked)]
        )
        return _flagged(_bytes(made), flagged)

    def _call(self, batch: Sequence[ImageRequest], **more: Any) -> Any:
        first = batch[0]
        return self._pipeline(
            prompt=[asked.prompt for asked in batch],
            height=first.height,
            width=first.width,
            num_inference_steps=first.steps,
            guidance_scale=first.guidance,
            **more,
        )


@contextmanager
def one_step(pipeline: Any, number: int, steps: int) -> Iterator[None]:
    """Let a pipeline with a `REPEATABLE` scheduler make only step ``number`` (from 0) of ``steps``."""
    whole = pipeline.scheduler
    kind = type(whole)
    plain = kind.from_config(whole.config)
    plain.set_timesteps(steps)

    class OneStep(kind):  # type: ignore[misc,valid-type]  # the scheduler's class is known only now
        # Pipelines scale the latents that they are given by this: right for noise, wrong between two steps.
        init_noise_sigma = float(plain.init_noise_sigma) if number == 0 else 1.0

        def set_timesteps(self, *given: Any, **named: Any) -> None:
            """Of all, only one."""
            super().set_timesteps(*given, **named)
            self.timesteps: Any = self.timesteps[number : number + 1]
            if hasattr(self, "set_begin_index"):
                self.set_begin_index(number)

    pipeline.scheduler = OneStep.from_config(whole.config)
    try:
        yield
    finally:
        pipeline.scheduler = whole


def _noise(seeds: Sequence[bytes], shape: tuple[int, ...]) -> Any:
    return torch.stack([torch.randn(shape, generator=noise_generator(seed)) for seed in seeds])


def _callback(watch: Watch | None) -> Any:
    """In the form that pipelines call."""

    def end(_pipeline: Any, number: int, _time: Any, told: dict[str, Any]) -> dict[str, Any]:
        if watch is not None:
            watch(number, told["latents"])
        return {}

    return end


def _bytes(made: Any) -> list[Pixels | Flagged]:
    return list(np.rint(made * 255).astype(np.uint8))


def _checked(made: Any) -> list[Pixels | Flagged]:
    return _flagged(_bytes(made.images), getattr(made, "nsfw_content_detected", None))


def _flagged(pictures: list[Pixels | Flagged], flagged: Sequence[bool] | None) -> list[Pixels | Flagged]:
    """Those that a safety checker let through; it has blackened the others."""
    if flagged is None:
        return pictures
    return [Flagged() if bad else one for one, bad in zip(pictures, flagged, strict=True)]
