"""Names, resolved under an address policy."""

from __future__ import annotations

import errno
import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from ranvier.protocol.addresses import AddressPolicy


class GuardedResolver(AbstractResolver):
    """Resolves names and drops every address that the policy refuses, so a name cannot lead where a literal may not."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy, self._inner = policy, ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As the system resolves, less what is refused."""
        found = await self._inner.resolve(host, port, family)
        allowed = [one for one in found if not self._policy.refusal_of(ipaddress.ip_address(one["host"]))]
        if not allowed:
            raise OSError(errno.EADDRNOTAVAIL, f"{host} leads to no address that may be called")
        return allowed

    async def close(self) -> None:
        """Release the system resolver."""
        await self._inner.close()
