"""The denoiser of the scenes model: a small UNet over 2x2 pixel blocks."""

from __future__ import annotations

from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel

from ranvier.engines.image.caption import WIDTH

BLOCK: Final = 2
SIZE: Final = 32
TIMES: Final = 1000.0
"""The UNet is told the noise share in [0, 1] times this."""


def build_unet() -> Any:
    """Fresh weights; 12 channels of 16x16."""
    return UNet2DConditionModel(
        sample_size=SIZE // BLOCK,
        in_channels=3 * BLOCK**2,
        out_channels=3 * BLOCK**2,
        layers_per_block=1,
        block_out_channels=(64, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=32,
        norm_num_groups=16,
    )


def pack(pixels: Any) -> Any:
    """(n, 3, 32, 32) to (n, 12, 16, 16)."""
    return torch.nn.functional.pixel_unshuffle(pixels, BLOCK)


def unpack(blocks: Any) -> Any:
    """The reverse of `pack`."""
    return torch.nn.functional.pixel_shuffle(blocks, BLOCK)


def clean_estimate(unet: Any, noisy: Any, noise_share: Any, states: Any, mask: Any) -> Any:
    """The picture that the UNet believes is under the noise; ``noise_share`` is in (0, 1], one for each row."""
    return unet(noisy, noise_share * TIMES, encoder_hidden_states=states, encoder_attention_mask=mask).sample
