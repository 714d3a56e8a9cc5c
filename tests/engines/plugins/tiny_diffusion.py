"""A Stable Diffusion pipeline of random weights, small enough for a test, saved as anybody would save one."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SIDE = 64
"""Pixels: 32 latents, each two pixels wide."""


def tokenizer(folder: Path) -> CLIPTokenizer:
    """Letters alone."""
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)


def parts(folder: Path) -> dict[str, object]:
    """All that a pipeline consists of, but for its safety checker."""
    torch.manual_seed(0)
    words = tokenizer(folder)
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        eos_token_id=len(words) - 1,
        bos_token_id=len(words) - 2,
        pad_token_id=len(words) - 1,
    )
    return {
        "unet": UNet2DConditionModel(
            sample_size=SIDE // 2,
            in_channels=4,
            out_channels=4,
            layers_per_block=1,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=2,
            norm_num_groups=8,
        ),
        "vae": AutoencoderKL(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=4,
            sample_size=SIDE,
        ),
        "text_encoder": CLIPTextModel(text),
        "tokenizer": words,
        "scheduler": DDIMScheduler(clip_sample=False, set_alpha_to_one=False),
    }


def save(folder: Path, **others: object) -> Path:
    """Write the pipeline into ``folder / "tiny"``; ``others`` are parts instead of those, or a safety checker."""
    given = parts(folder) | {"safety_checker": None, "feature_extractor": None} | others
    pipeline = StableDiffusionPipeline(**given, requires_safety_checker=given["safety_checker"] is not None)
    pipeline.save_pretrained(folder / "tiny", safe_serialization=True)
    return folder / "tiny"


def checker(*, flags: bool) -> dict[str, object]:
    """The library's safety checker, which flags everything or nothing."""
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
    }
    torch.manual_seed(1)
    network = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16))
    for part, number in (("concept_embeds", 17), ("special_care_embeds", 3)):
        getattr(network, part).data = torch.randn(number, 16)
        getattr(network, f"{part}_weights").data = torch.full((number,), -2.0 if flags else 2.0)
    return {
        "safety_checker": network,
        "feature_extractor": CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
    }
