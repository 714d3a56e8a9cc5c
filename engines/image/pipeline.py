"""The scenes pipeline: an ordinary diffusers pipeline, saved and loaded like any other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput

from ranvier.engines.image.caption import Reading, encode_words
from ranvier.engines.image.unet import BLOCK, SIZE, clean_estimate, unpack

STEPS: Final = 12
GUIDANCE: Final = 3.0
SHIFT: Final = 2.5
"""More than 1 puts more of the steps where there is much noise and objects take shape."""


class ScenesPipeline(DiffusionPipeline):  # type: ignore[misc]  # diffusers has no types
    """Captions to pictures of 32x32 pixels, by Euler steps along the straight path from noise to picture."""

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
        output_type: str = "pil",
    ) -> Any:
        """Pictures as PIL images, or as ``np``: floats in [0, 1], shape (n, 32, 32, 3).

        ``generator`` is one generator or one for each prompt. Raises ValueError for any other size than 32x32.
        """
        if (height, width) != (SIZE, SIZE):
            raise ValueError(f"this model draws {SIZE}x{SIZE} pixels, not {width}x{height}")
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        noise = self._noise(len(prompts), generator)
        reading = self.caption(encode_words([*prompts, *[""] * len(prompts)]).to(self.device))
        blocks = self._descend(noise, reading, num_inference_steps, guidance_scale)
        pixels = (unpack(blocks).float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return ImagePipelineOutput(images=self.numpy_to_pil(pixels) if output_type == "pil" else pixels)

    def _noise(self, count: int, generator: Any) -> Any:
        """Drawn on the CPU, one picture at a time, so that a picture's noise knows nothing of its batch."""
        generators = generator if isinstance(generator, list) else [generator] * count
        shape = (3 * BLOCK**2, SIZE // BLOCK, SIZE // BLOCK)
        rows = [torch.randn(shape, generator=one) for one in generators]
        return torch.stack(rows).to(self.device, self.unet.dtype)

    def _descend(self, blocks: Any, reading: Reading, steps: int, guidance: float) -> Any:
        """From noise (share 1) to a picture (share 0); every step looks at the picture with and without caption."""
        even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        shares = (SHIFT * even / (1 + (SHIFT - 1) * even)).tolist()
        for share, following in itertools.pairwise(shares):
            told = torch.full((2 * len(blocks),), share, device=blocks.device, dtype=blocks.dtype)
            both = clean_estimate(self.unet, torch.cat([blocks, blocks]), told, reading)
            with_caption, without = both.chunk(2)
            clean = (without + guidance * (with_caption - without)).clamp(-1, 1)
            blocks = clean + (following / share) * (blocks - clean)
        return blocks
