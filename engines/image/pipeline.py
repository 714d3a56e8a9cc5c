"""The scenes pipeline: an ordinary diffusers pipeline, saved and loaded like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput

from ranvier.engines.image.caption import Reading, encode_words
from ranvier.engines.image.schedule import noise_shares
from ranvier.engines.image.unet import BLOCK, SIZE, clean_estimate, pack, unpack

STEPS: Final = 12
GUIDANCE: Final = 2.0
StepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


class ScenesPipeline(DiffusionPipeline):  # type: ignore[misc]  # diffusers has no types
    """Captions to pictures of 32x32 pixels, by Euler steps along the straight path from noise to picture.

    Where all is noise nothing is known of the picture but its caption, and the draft is the best estimate there is; so
    each step goes by the draft as far as there is noise, and by the denoiser for the rest. What lies between the steps
    is kept in single precision whatever the denoiser computes in, so that rounding does not add up over them.
    """

    def __init__(self, unet: Any, caption: Any) -> None:
        super().__init__()
        self.register_modules(unet=unet, caption=caption)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def __call__(
        self,
        prompt: str | Sequence[str],
        height: int = SIZE,
        width: int = SIZE,
        num_inference_steps: int = STEPS,
        guidance_scale: float = GUIDANCE,
        generator: Any = None,
        latents: Any = None,
        output_type: str = "pil",
        callback_on_step_end: StepEnd | None = None,
    ) -> Any:
        """Pictures as PIL images, as ``np`` (floats in [0, 1], shape (n, 32, 32, 3)) or as ``latent``.

        ``generator`` is one generator or one for each prompt; ``latents`` is used instead. The callback is as in other
        pipelines: it gets this pipeline, the step's number, its share of noise, and the latents in a dictionary.
        Raises ValueError for any other size than 32x32.
        """
        if (height, width) != (SIZE, SIZE):
            raise ValueError(f"this model draws {SIZE}x{SIZE} pixels, not {width}x{height}")
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        blocks = self._noise(len(prompts), generator) if latents is None else latents.to(self.device)
        reading = self.read(prompts)
        for number in range(num_inference_steps):
            numbers = [number] * len(prompts)
            blocks = self.step(blocks, reading, numbers, num_inference_steps, guidance_scale)
            if callback_on_step_end is not None:
                share = noise_shares(num_inference_steps)[number]
                blocks = callback_on_step_end(self, number, share, {"latents": blocks}).get("latents", blocks)
        if output_type == "latent":
            return ImagePipelineOutput(images=blocks)
        pixels = self.decode(blocks)
        return ImagePipelineOutput(images=self.numpy_to_pil(pixels) if output_type == "pil" else pixels)

    def read(self, prompts: Sequence[str]) -> Reading:
        """Of the prompts, and once more of no prompt for each: guidance compares the two."""
        reading: Reading = self.caption(encode_words([*prompts, *[""] * len(prompts)]).to(self.device))
        return reading

    def step(self, blocks: Any, reading: Reading, numbers: Sequence[int], steps: int, guidance: float) -> Any:
        """One step for every row, its ``number`` (from 0) of ``steps``: looks at each with and without its caption."""
        shares = noise_shares(steps)
        now, following = (self._column([shares[number + ahead] for number in numbers]) for ahead in (0, 1))
        both = clean_estimate(
            self.unet,
            torch.cat([blocks, blocks]).to(self.unet.dtype),
            torch.cat([now, now]).flatten(),
            reading,
        )
        with_caption, without = both.float().chunk(2)
        found = without + guidance * (with_caption - without)
        clean = ((1 - now) * found + now * pack(reading.drafts[: len(blocks)])).clamp(-1, 1)
        return clean + (following / now) * (blocks - clean)

    def decode(self, blocks: Any) -> Any:
        """Pixels as floats in [0, 1], shape (n, 32, 32, 3)."""
        return (unpack(blocks).float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()

    def _column(self, values: Sequence[float]) -> Any:
        return torch.tensor(values, dtype=torch.float32, device=self.device)[:, None, None, None]

    def _noise(self, count: int, generator: Any) -> Any:
        """Drawn on the CPU, one picture at a time, so that a picture's noise knows nothing of its batch."""
        generators = generator if isinstance(generator, list) else [generator] * count
        shape = (3 * BLOCK**2, SIZE // BLOCK, SIZE // BLOCK)
        return torch.stack([torch.randn(shape, generator=one) for one in generators]).to(self.device)
