"""What nearly every block moves on every subnet, as one record: small, and written anew with each block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ranvier.chain.market import Market
from ranvier.chain.records.codec import Codec
from ranvier.chain.records.columns import columns, lines
from ranvier.chain.state import ChainState

_SUBNET: Final = (
    "netuid",
    "burn",
    "counted_from",
    "adjusted_at",
    "registered_now",
    "registered_interval",
    "by_work",
    "difficulty",
    "recycled",
    "pending",
    "last_step",
)
_MARKET: Final = ("reserve", "issued", "pending_root", "moving_price", "flow", "moving_flow", "withheld")


def _value(state: ChainState, path: Sequence[str]) -> Any:
    subnets = [state.subnets[netuid] for netuid in sorted(state.subnets)]
    markets = {one.netuid: one.market for one in subnets if one.market is not None}
    return {
        "subnets": columns(_SUBNET, subnets),
        "markets": {"netuid": list(markets), **columns(_MARKET, list(markets.values()))},
        "pools": sorted(state.ledger.pools.items()),
    }


def _restore(state: ChainState, path: Sequence[str], value: Any) -> None:
    told = list(lines(_SUBNET, value["subnets"]))
    if [one["netuid"] for one in told] != sorted(state.subnets):
        raise ValueError("the tally is that of other subnets")
    for one in told:
        subnet = state.subnets[one.pop("netuid")]
        for name, number in one.items():
            setattr(subnet, name, number)
    for one in lines(("netuid", *_MARKET), value["markets"]):
        subnet = state.subnets[one.pop("netuid")]
        subnet.market = Market(**one, stakes=subnet.market.stakes if subnet.market else {})
    state.ledger.pools = {int(netuid): tao for netuid, tao in value["pools"]}


CODECS = (Codec("tally", lambda _: ("",), _value, _restore),)
"""Its name comes after those of subnets and their stakes of alpha, so that it is restored after them."""
