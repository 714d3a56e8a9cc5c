"""Which addresses a dendrite may connect to: a miner's advertised address is hostile input."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

_HOST_NAME = re.compile(r"(?=.{1,253}$)(?!.*\.\d+$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_ALSO_PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments; 192.0.0.192 gives a cloud's secrets
            "192.88.99.0/24",  # relays from IPv6
            "168.63.129.16/32",  # another cloud's host, public by its number
            "3fff::/20",  # documentation
            "fec0::/10",  # site-local, as hosts of before 2004 have it
        ),
    )
)
"""What `ipaddress` takes for public, and no miner has."""
_ISATAP: Final = (0x5EFE, 0x02005EFE)
"""First half of an interface's number that names an IPv4 address to tunnel to."""


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

    def refusal_of(self, address: _Address) -> str | None:
        """As `refusal`, for a resolved address; IPv4 inside IPv6 is judged as IPv4."""
        judged = _inside(address)
        if judged.is_loopback:  # first: ::1 also counts as reserved
            return None if self.allow_private else f"{address} is not public"
        if judged.is_multicast or judged.is_unspecified or judged.is_reserved:
            return f"{address} is no unicast address"
        if not self.allow_private and not _is_public(judged):
            return f"{address} is not public"
        return None


def _inside(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    number = int(address)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: _Address) -> bool:
    return address.is_global and not any(
        address in network for network in _ALSO_PRIVATE if network.version == address.version
    )


@lru_cache(maxsize=4096)
def _refusal(policy: AddressPolicy, host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None if _HOST_NAME.fullmatch(host) else f"{host[:64]!r} is no address or host name"
    return policy.refusal_of(address)
