"""Engines: models behind OpenAI-shaped HTTP, and the client that neurons use. Importing this imports no torch."""

from __future__ import annotations

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import (
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnfit,
    EngineUnreachable,
    MissingExtra,
    ModelError,
    ModelNotFound,
    PrepareFailed,
)
from ranvier.engines.models import (
    SEEDED_GUMBEL,
    Generation,
    ImageRequest,
    Message,
    ModelInfo,
    Sampling,
    ScoreRequest,
    TextRequest,
    TokenEvidence,
)

__all__ = [
    "SEEDED_GUMBEL",
    "EngineClient",
    "EngineError",
    "EngineRefused",
    "EngineTimeout",
    "EngineUnfit",
    "EngineUnreachable",
    "Generation",
    "ImageRequest",
    "Message",
    "MissingExtra",
    "ModelError",
    "ModelInfo",
    "ModelNotFound",
    "PrepareFailed",
    "Sampling",
    "ScoreRequest",
    "TextRequest",
    "TokenEvidence",
]
