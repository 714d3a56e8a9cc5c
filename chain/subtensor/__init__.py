"""The back end for Subtensor chains, on the official SDK (extra `subtensor`); imported where one is named."""

from ranvier.chain.subtensor.client import SubtensorChain

__all__ = ["SubtensorChain"]
