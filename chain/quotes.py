"""What a trade of alpha would give now, from what an explorer tells of the pools."""

from __future__ import annotations

from dataclasses import dataclass

from ranvier.chain.explorer import MarketInfo
from ranvier.chain.market import given_out


@dataclass(frozen=True, slots=True)
class Quote:
    """`amount` of what is given and what would be `got` for it, in rao.

    `before`, `fill` and `after` are prices: TAO for one alpha; of a trade between two subnets how much of what is
    bought there is for one of what is sold. `fill` is the mean of the trade, the others are the pools' around it.
    """

    amount: int
    got: int
    before: float
    fill: float
    after: float

    @property
    def slippage(self) -> float:
        """How far the mean lies from the price before, as a share of that."""
        return abs(self.fill - self.before) / self.before if self.before else 0.0


def quote(sold: MarketInfo | None, bought: MarketInfo | None, amount: int) -> Quote:
    """Alpha of one subnet into another's; None stands for TAO. By the pools of now: each block moves them a little."""
    tao = amount if sold is None else given_out(sold.reserve, sold.tao, amount)
    got = tao if bought is None else given_out(bought.tao, bought.reserve, tao)
    before = _ratio(sold, 0, 0) / _ratio(bought, 0, 0)
    after = _ratio(sold, -tao, amount) / _ratio(bought, tao, -got)
    fill = got / amount if amount else before
    if sold is None and bought is not None:  # TAO for alpha, not alpha for TAO
        return Quote(amount, got, 1 / before, 1 / fill if fill else 0.0, 1 / after)
    return Quote(amount, got, before, fill, after)


def _ratio(market: MarketInfo | None, tao: int, alpha: int) -> float:
    """A pool's price after it got TAO and alpha; that of an empty one, and of TAO, is one."""
    if market is None or not (market.tao and market.reserve):
        return 1.0
    return (market.tao + tao) / (market.reserve + alpha)
