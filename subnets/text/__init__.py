"""Text generation by a declared model, believed only as far as one prefill proves it."""

from __future__ import annotations

from ranvier.subnets.text.miner import TextMiner
from ranvier.subnets.text.subnet import TextSettings, TextSubnet
from ranvier.subnets.text.synapse import TextGeneration

__all__ = ["TextGeneration", "TextMiner", "TextSettings", "TextSubnet"]
