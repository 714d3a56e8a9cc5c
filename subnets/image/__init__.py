"""Pictures from a declared model, believed only as far as drawing them again proves them."""

from __future__ import annotations

from ranvier.subnets.image.miner import ImageMiner
from ranvier.subnets.image.subnet import ImageSettings, ImageSubnet
from ranvier.subnets.image.synapse import ImageGeneration

__all__ = ["ImageGeneration", "ImageMiner", "ImageSettings", "ImageSubnet"]
