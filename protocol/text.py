"""JSON text of a stranger, read unless it has more values than any honest body.

Reading JSON builds every value before a model can refuse it: two bytes of ``0,`` become sixty. Their number is counted
first, so that a body costs memory in proportion to its size, whatever a model declares.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np
from pydantic import BaseModel
from pydantic_core import from_json

M = TypeVar("M", bound=BaseModel)

_COMMA: Final = ord(",")

MAX_COMMAS: Final = 1 << 18
"""In one JSON text, those within strings included: a quarter of a million numbers belongs in a tensor."""


def read_text(model: type[M], text: bytes, context: Any = None) -> M:
    """The model that JSON text holds. Raises ValueError (of pydantic: ``ValidationError``) for any other text."""
    _count(text)
    return model.model_validate_json(text, context=context)


def read_values(text: bytes, *, special: bool = False) -> Any:
    """What JSON text holds, with NaN and infinities where ``special``. Raises ValueError for any other text."""
    _count(text)
    return from_json(text, allow_inf_nan=special)


def _count(text: bytes) -> None:
    if len(text) <= MAX_COMMAS:
        return
    commas = np.count_nonzero(np.frombuffer(text, np.uint8) == _COMMA)  # a quarter of what bytes.count takes
    if commas > MAX_COMMAS:
        raise ValueError(f"more than {MAX_COMMAS} commas: so many values travel as a tensor")
