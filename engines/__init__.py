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
    LATENT_STEPS,
    SEEDED_GUMBEL,
    SEEDED_NOISE,
    DecodeRequest,
    Generation,
    ImageRequest,
    Message,
    ModelInfo,
    Sampling,
    ScoreRequest,
    StepRequest,
    TextRequest,
    TokenEvidence,
    Trace,
)

__all__ = [
    "LATENT_STEPS",
    "SEEDED_GUMBEL",
    "SEEDED_NOISE",
    "DecodeRequest",
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
    "StepRequest",
    "TextRequest",
    "TokenEvidence",
    "Trace",
]
