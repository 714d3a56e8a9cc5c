"""ss58 addresses: who is who on a chain."""

from __future__ import annotations

from functools import lru_cache

from bittensor_core import decode_ss58, encode_ss58

SS58_FORMAT = 42


@lru_cache(maxsize=8192)
def is_address(ss58: str) -> bool:
    """Whether `ss58` is the canonical address (format 42) of a 32-byte key."""
    try:
        return str(encode_ss58(decode_ss58(ss58), SS58_FORMAT)) == ss58
    except ValueError:
        return False


def canonical(ss58: str) -> str:
    """The address itself. Raises ValueError where it is none; for pydantic's validators."""
    if not is_address(ss58):
        raise ValueError(f"{ss58!r} is no ss58 address of format {SS58_FORMAT}")
    return ss58
