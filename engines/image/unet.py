"""The denoiser of the scenes model: a small UNet over 2x2 pixel blocks."""

from __future__ import annotations

from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel

from ranvier.engines.image.caption import WIDTH, Reading

BLOCK: Final = 2
SIZE: Final = 32
TIMES: Final = 1000.0
"""The UNet is told the noise share in [0, 1] times this."""


def build_unet() -> Any:
    """Fresh weights; 12 channels of 16x16, two that say where each block lies, and 12 of the draft."""
    return UNet2DConditionModel(
        sample_size=SIZE // BLOCK,
        in_channels=2 * 3 * BLOCK**2 + 2,
        out_channels=3 * BLOCK**2,
        layers_per_block=1,
        block_out_channels=(64, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        # The library's name misleads: this is the number of heads (of 24 and 32 channels each).
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="projection",
        projection_class_embeddings_input_dim=WIDTH,
        norm_num_groups=16,
    )


def pack(pixels: Any) -> Any:
    """(n, 3, 32, 32) to (n, 12, 16, 16)."""
    return torch.nn.functional.pixel_unshuffle(pixels, BLOCK)


def unpack(blocks: Any) -> Any:
    """The reverse of `pack`."""
    return torch.nn.functional.pixel_shuffle(blocks, BLOCK)


def clean_estimate(unet: Any, noisy: Any, noise_share: Any, reading: Reading) -> Any:
    """The picture that the UNet believes is under the noise; ``noise_share`` is in (0, 1], one for each row."""
    drafts = pack(reading.drafts).to(noisy.dtype)
    words = reading.mask.to(reading.states.dtype)[..., None]
    return unet(
        torch.cat([noisy, _coordinates(noisy), drafts], dim=1),
        noise_share * TIMES,
        # The mean of the caption reaches every layer; which word belongs to which place is for attention to find.
        class_labels=((reading.states * words).sum(1) / words.sum(1)).to(noisy.dtype),
        encoder_hidden_states=reading.states.to(noisy.dtype),
        encoder_attention_mask=reading.mask,
    ).sample


def _coordinates(blocks: Any) -> Any:
    """Across and down in [-1, 1] for every block: without them "at the left" has nothing to hold on to."""
    axis = torch.linspace(-1, 1, blocks.shape[-1], device=blocks.device, dtype=blocks.dtype)
    across = axis.expand(blocks.shape[-1], -1)
    return torch.stack([across, across.T]).expand(len(blocks), -1, -1, -1)
