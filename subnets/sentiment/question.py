"""How a question about a text is put to a classifier that reads one string."""

from __future__ import annotations


def question(target: str, text: str) -> str:
    """The string that the shipped model was trained on; a miner with another model words it as it likes."""
    return f"{target}? {text}" if target else text
