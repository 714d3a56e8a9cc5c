"""Many things of one kind as a list for each field: much less to write than a mapping for each thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def columns(fields: Sequence[str], items: Sequence[object]) -> dict[str, list[Any]]:
    """The named attributes of all items."""
    return {field: [getattr(item, field) for item in items] for field in fields}


def lines(fields: Sequence[str], written: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Item for item what `columns` wrote. Raises KeyError and ValueError where fields or parts of one are missing."""
    for line in zip(*(written[field] for field in fields), strict=True):
        yield dict(zip(fields, line, strict=True))
