"""Where a target may be connected to: literals and names, judged by the address policy."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket

from ranvier.protocol.addresses import AddressPolicy


async def allowed_addresses(policy: AddressPolicy, host: str, port: int) -> list[str]:
    """The IP addresses of ``host``, less those that the policy refuses, in the system's order.

    What is returned is what must be connected to: asking again could give another answer. Raises OSError where
    nothing is left.
    """
    refusal = policy.refusal(host)
    if refusal is not None:
        raise OSError(errno.EADDRNOTAVAIL, refusal)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return await _resolved(policy, host, port)
    return [host]


async def _resolved(policy: AddressPolicy, host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)
    allowed = [one for one in addresses if policy.refusal_of(ipaddress.ip_address(one)) is None]
    if not allowed:
        raise OSError(errno.EADDRNOTAVAIL, f"{host} leads to no address that may be called")
    return allowed
