"""Sizes as people read them."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes in units of 1024: 256 MiB, 13.4 GiB."""
    if count >= 1 << 30:
        return f"{count / (1 << 30):.1f} GiB"
    return f"{count / (1 << 20):.0f} MiB" if count >= 10 << 20 else f"{count / (1 << 20):.1f} MiB"


def many(count: float) -> str:
    """A number of parameters: 134.5 M, 7.6 B."""
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"
