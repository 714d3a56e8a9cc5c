"""JSON text of a stranger, read unless it holds more values than its synapse declares.

Reading JSON builds every value before a model can refuse it: the two bytes of ``[]`` become four hundred, and each
value of a wrong type leaves as much in a list of faults. They are counted first, so that a body's cost is known.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from pydantic_core import from_json

M = TypeVar("M", bound=BaseModel)

MAX_VALUES: Final = 1 << 15
"""In one JSON text, where its synapse declares nothing else."""

_COMMA: Final = ord(",")
_QUOTE: Final = ord('"')
_CASE: Final = 0xDF
"""Without this bit, a brace is a bracket."""
_OPENED: Final = ord("[")
_PART: Final = 1 << 16


def read_text(model: type[M], text: bytes, context: Any = None, *, most: int = MAX_VALUES) -> M:
    """The model that JSON text holds. Raises ValueError (of pydantic: ``ValidationError``) for any other text."""
    check_values(text, most)
    return model.model_validate_json(text, context=context)


def read_values(text: bytes, *, special: bool = False, most: int = MAX_VALUES) -> Any:
    """What JSON text holds, with NaN and infinities where ``special``. Raises ValueError for any other text."""
    check_values(text, most)
    return from_json(text, allow_inf_nan=special)


def check_values(text: bytes, most: int) -> None:
    """Raise ValueError for more than ``most`` commas, brackets and braces opened, those in strings left out."""
    # Prose has commas, code has braces: only where there are many is it worth to tell them apart.
    if len(text) > most and _anywhere(text) > most and _outside_strings(text) > most:
        raise ValueError(f"more than {most} values: so many are a tensor, or their synapse declares them")


def _anywhere(text: bytes) -> int:
    # In parts that stay in the processor's cache: memory for the whole is slower to get than to fill.
    whole = memoryview(text)
    return sum(int(np.count_nonzero(_marks(whole[at : at + _PART]))) for at in range(0, len(whole), _PART))


def _marks(text: bytes | memoryview) -> NDArray[np.bool_]:
    found = np.frombuffer(text, np.uint8)
    marked: NDArray[np.bool_] = (found & _CASE) == _OPENED
    marked |= found == _COMMA
    return marked


def _outside_strings(text: bytes) -> int:
    bare = text.replace(b"\\\\", b"").replace(b'\\"', b"")  # now each quote begins a string, or ends one
    within = np.bitwise_xor.accumulate(np.frombuffer(bare, np.uint8) == _QUOTE)
    return int(np.count_nonzero(_marks(bare) & ~within))
