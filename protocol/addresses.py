"""Which addresses a dendrite may connect to: a miner's advertised address is hostile input."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

_HOST_NAME = re.compile(r"(?=.{1,253}$)(?!.*\.\d+$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Checked on the literal that was advertised and again on every address that it resolves to."""

    allow_private: bool = False

    @classmethod
    def public(cls) -> Self:
        """Global unicast addresses only."""
        return cls(allow_private=False)

    @classmethod
    def local(cls) -> Self:
        """Loopback and private addresses too: for a network on one machine or in one room."""
        return cls(allow_private=True)

    def refusal(self, host: str) -> str | None:
        """Why ``host`` must not be called; None where it may be (a name is judged again after resolution)."""
        return _refusal(self, host)

    def refusal_of(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
        """As `refusal`, for a resolved address; IPv4 inside IPv6 is judged as IPv4."""
        mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        judged = mapped or address
        if judged.is_loopback:  # first: ::1 also counts as reserved
            return None if self.allow_private else f"{address} is not public"
        if judged.is_multicast or judged.is_unspecified or judged.is_reserved:
            return f"{address} is no unicast address"
        if not self.allow_private and not judged.is_global:
            return f"{address} is not public"
        return None


@lru_cache(maxsize=4096)
def _refusal(policy: AddressPolicy, host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None if _HOST_NAME.fullmatch(host) else f"{host[:64]!r} is no address or host name"
    return policy.refusal_of(address)
