"""What each hotkey was paid since its subnet's first incentive, added up epoch by epoch from the chain's own record."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from ranvier.chain import ChainClient


@dataclass(slots=True)
class Earnings:
    """The account of one subnet. Amounts are rao."""

    netuid: int
    since: int
    epochs: int = 0
    server: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    dividends: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def read(self, chain: ChainClient) -> None:
        """Take in the epochs that ended since the last call; those before the first incentive do not count."""
        for epoch in await chain.epochs(self.netuid, self.since):
            self.since = epoch.block
            if not self.epochs and not any(row.incentive for row in epoch.rows):
                continue
            self.epochs += 1
            for row in epoch.rows:
                self.server[row.hotkey] += row.server_emission
                self.dividends[row.hotkey] += row.validator_emission
