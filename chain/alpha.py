"""Alpha of subnets on the whole state: trades, what a block issues, how root's stake counts, who is paid, the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from ranvier.chain.emission import block_emission, split_delegate, split_owner
from ranvier.chain.ledger import Ledger
from ranvier.chain.market import FLOW_BITS, Market, given_out, price
from ranvier.chain.payment import Payment
from ranvier.chain.pricing import decay_factor
from ranvier.chain.state import ChainState, SubnetState, root_worth

_averaging = lru_cache(maxsize=16)(decay_factor)
_Q32: Final = 1 << 32


def open_market(state: ChainState, subnet: SubnetState, tao: int, *, known: bool) -> None:
    """Give a subnet its market; the ledger's pool holds `tao` already, and as much alpha is made beside it.

    The moving price of a new one starts at zero, where its market is not `known` from the first block on.
    """
    subnet.market = Market(reserve=tao, issued=tao, moving_price=price(tao, tao) if known else 0)
    if subnet.owner is not None and subnet.owner_hotkey is None:
        state.ledger.own(subnet.owner, subnet.owner)


def buy(state: ChainState, subnet: SubnetState, paid: int) -> int:
    """Alpha out of the pool for TAO that the ledger has put there; the caller gives it to somebody or removes it."""
    market = of(subnet)
    got = given_out(state.ledger.pools.get(subnet.netuid, 0) - paid, market.reserve, paid)
    market.reserve -= got
    return got


def quote_buy(state: ChainState, subnet: SubnetState, paid: int) -> int:
    """Alpha that `buy` would give."""
    return given_out(state.ledger.pools.get(subnet.netuid, 0), of(subnet).reserve, paid)


def quote_sale(state: ChainState, subnet: SubnetState, alpha: int) -> int:
    """TAO that the pool would give for alpha."""
    return given_out(of(subnet).reserve, state.ledger.pools.get(subnet.netuid, 0), alpha)


def take_in(subnet: SubnetState, alpha: int) -> None:
    """Put alpha that left a stake into the pool's reserve."""
    of(subnet).reserve += alpha


def remove(subnet: SubnetState, alpha: int) -> None:
    """Let alpha that somebody gave up be no more."""
    of(subnet).issued -= alpha


def restake(subnet: SubnetState, hotkey: str, coldkey: str, alpha: int) -> None:
    """Add to an alpha stake, or take from it."""
    of(subnet).restake(hotkey, coldkey, alpha)
    subnet.touch(f"alpha/{hotkey}/{coldkey}")


def mint_stake(subnet: SubnetState, hotkey: str, coldkey: str, alpha: int) -> None:
    """Make new alpha into stake."""
    if alpha:
        of(subnet).issued += alpha
        restake(subnet, hotkey, coldkey, alpha)


def of(subnet: SubnetState) -> Market:
    """The subnet's market, on a chain whose subnets have one."""
    assert subnet.market is not None, "callers ask `parameters.alpha` first"
    return subnet.market


def root_part(ledger: Ledger, market: Market) -> tuple[int, int]:
    """Root's part of what stake earns on a subnet, as (numerator, denominator)."""
    weighted = root_worth(ledger.all_staked)
    return weighted, max(1, weighted + market.issued)


def accumulate(state: ChainState, subnet: SubnetState, tao: int) -> None:
    """A block's emission of one subnet: TAO into its pool, alpha beside it, to the owner, and for the next epoch."""
    market, ledger = of(subnet), state.ledger
    made = block_emission(market.issued)
    numerator, denominator = root_part(ledger, market)
    # Nobody on root, as after a fair launch: the pool still gets its alpha, no faster than stakers get theirs.
    _inject(state, subnet, tao, made * numerator // denominator if ledger.all_staked else made)
    rest = made
    if subnet.owner is not None:
        cut, rest = split_owner(made, subnet.hyperparameters.subnet_owner_cut)
        mint_stake(subnet, subnet.owner_hotkey or subnet.owner, subnet.owner, cut)
    subnet.pending += rest
    market.pending_root += rest // 2 * numerator // denominator
    _average(state, subnet)


def _inject(state: ChainState, subnet: SubnetState, tao: int, cap: int) -> None:
    """TAO with alpha at the pool's price, no more alpha than the cap; the TAO beyond it buys alpha that is removed."""
    market, held = of(subnet), state.ledger.pools.get(subnet.netuid, 0)
    if not (held and market.reserve):
        alpha, paired = tao, tao
    else:
        alpha, paired = tao * market.reserve // held, tao
        if alpha > cap:
            alpha, paired = cap, cap * held // market.reserve
    market.reserve += alpha
    market.issued += alpha
    state.ledger.fund_pool(subnet.netuid, paired)
    if tao > paired:
        state.ledger.fund_pool(subnet.netuid, tao - paired)
        remove(subnet, buy(state, subnet, tao - paired))


def _average(state: ChainState, subnet: SubnetState) -> None:
    market, factor = of(subnet), _averaging(state.network.parameters.average_half_life)
    now = price(state.ledger.pools.get(subnet.netuid, 0), market.reserve)
    market.moving_price = (market.moving_price * factor + now * (_Q32 - factor)) >> 32
    flow = market.flow << FLOW_BITS
    market.moving_flow = (market.moving_flow * factor + flow * (_Q32 - factor)) >> 32
    market.flow = 0


def divided(state: ChainState, subnet: SubnetState, payments: Iterable[Payment]) -> tuple[Payment, ...]:
    """The payments of an epoch with root's part of the dividends apart.

    Dividends count for root and for alpha by the stake on the hotkey itself; each side is then scaled to
    its part of the whole. Without root's stake behind any dividends all of them are alpha's.
    """
    market, ledger = of(subnet), state.ledger
    given = tuple(payments)
    whole = sum(one.validator for one in given)
    wanted, market.pending_root = min(market.pending_root, whole), 0
    by_root = [_from_root(ledger, market, one) for one in given]
    by_alpha = [one.validator - part for one, part in zip(given, by_root, strict=True)]
    if not sum(by_root):
        wanted = 0
    elif not sum(by_alpha):
        wanted = whole
    roots, alphas = _scaled(by_root, wanted), _scaled(by_alpha, whole - wanted)
    return tuple(
        replace(one, validator=alpha, root=root)
        for one, alpha, root in zip(given, alphas, roots, strict=True)
    )


def is_burned(state: ChainState, subnet: SubnetState, hotkey: str) -> bool:
    """Whether what this hotkey mines is never made: it is one of the subnet owner's own."""
    return subnet.market is not None and state.ledger.owners[hotkey] == subnet.owner


def _from_root(ledger: Ledger, market: Market, payment: Payment) -> int:
    weighted = root_worth(ledger.staked(payment.hotkey))
    total = weighted + market.staked(payment.hotkey)
    return payment.validator * weighted // total if total else 0


def _scaled(parts: Sequence[int], to: int) -> list[int]:
    total = sum(parts)
    return [part * to // total if total else 0 for part in parts]


def pay_alpha(state: ChainState, subnet: SubnetState, payment: Payment, take: int | None) -> None:
    """Alpha to the hotkey's owner and to who staked alpha there; root's part is sold, its TAO goes to root's stake."""
    market, owner, hotkey = of(subnet), state.ledger.owners[payment.hotkey], payment.hotkey
    holders = sorted(market.stakes.get(hotkey, {}).items())
    kept, parts = split_delegate(payment.validator, take or 0, [stake for _, stake in holders])
    mint_stake(subnet, hotkey, owner, kept + payment.server)
    for (coldkey, _), part in zip(holders, parts, strict=True):
        mint_stake(subnet, hotkey, coldkey, part)
    proceeds = quote_sale(state, subnet, payment.root)
    if proceeds:
        market.issued += payment.root
        take_in(subnet, payment.root)
        _pay_root(state.ledger, subnet.netuid, hotkey, proceeds, take or 0)


def _pay_root(ledger: Ledger, netuid: int, hotkey: str, tao: int, take: int) -> None:
    holders = sorted(ledger.stakes.get(hotkey, {}).items())
    kept, parts = split_delegate(tao, take, [stake for _, stake in holders])
    if kept:
        ledger.stake_from_pool(netuid, hotkey, ledger.owners[hotkey], kept)
    for (coldkey, _), part in zip(holders, parts, strict=True):
        if part:
            ledger.stake_from_pool(netuid, hotkey, coldkey, part)


def close_market(state: ChainState, subnet: SubnetState) -> int:
    """End a subnet's alpha: its holders share the pool's TAO, floors are burned; returns what all of them got."""
    market, tao = of(subnet), state.ledger.pools.get(subnet.netuid, 0)
    holders = market.holders()
    total = sum(holders.values())
    shares = {coldkey: tao * alpha // total for coldkey, alpha in sorted(holders.items())}
    state.ledger.close_pool(subnet.netuid, shares)
    subnet.touch(*(f"alpha/{hotkey}/{coldkey}" for hotkey, held in market.stakes.items() for coldkey in held))
    return sum(shares.values())
