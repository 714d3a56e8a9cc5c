"""Stake as alpha of subnets: bought with TAO, moved, swapped, sold. Netuid 0 is TAO on root."""

from __future__ import annotations

from ranvier.chain.alpha import buy, of, quote_buy, quote_sale, restake, take_in
from ranvier.chain.calls import AddStake, MoveStake, RemoveStake
from ranvier.chain.handlers.context import Context, refuse
from ranvier.chain.models import RAO
from ranvier.chain.state import SubnetState

Trade = AddStake | RemoveStake | MoveStake


def buy_stake(context: Context, call: AddStake, coldkey: str) -> None:
    """TAO from the signer's balance into the pool, alpha from there onto the hotkey."""
    subnet, ledger = _traded(context, call, call.netuid), context.state.ledger
    _check_amount(context, call, call.amount)
    alpha = _bought(context, call, subnet, call.amount)
    held = context.state.ledger.pools[call.netuid] + call.amount
    _check_limit(call, held, of(subnet).reserve - alpha)
    _pace(context, call, (call.netuid, call.hotkey, coldkey))
    ledger.pay_pool(coldkey, call.netuid, call.amount)
    _receive(context, subnet, call.hotkey, coldkey, call.amount)
    context.tell(
        "StakeAdded",
        hotkey=call.hotkey,
        coldkey=coldkey,
        amount=call.amount,
        netuid=call.netuid,
        alpha=alpha,
    )


def sell_stake(context: Context, call: RemoveStake, coldkey: str) -> None:
    """Alpha from the hotkey into the pool, TAO from there to the signer's balance."""
    subnet = _traded(context, call, call.netuid)
    _check_held(call, subnet, call.hotkey, coldkey)
    tao = _sold(context, call, subnet, call.hotkey, coldkey)
    _check_limit(call, context.state.ledger.pools[call.netuid] - tao, of(subnet).reserve + call.amount)
    _pace(context, call, (call.netuid, call.hotkey, coldkey))
    _give(subnet, call.hotkey, coldkey, call.amount, tao)
    context.state.ledger.paid_by_pool(coldkey, call.netuid, tao)
    context.tell(
        "StakeRemoved",
        hotkey=call.hotkey,
        coldkey=coldkey,
        amount=tao,
        netuid=call.netuid,
        alpha=call.amount,
    )


def swap_stake(context: Context, call: MoveStake, coldkey: str) -> None:
    """One subnet's alpha, or TAO on root, into another's through both pools; on the same subnet it only moves."""
    origin = None if call.origin_netuid == 0 else _traded(context, call, call.origin_netuid)
    target = None if call.netuid == 0 else _traded(context, call, call.netuid)
    if origin is not None:
        _check_held(call, origin, call.origin, coldkey)
    if origin is not None and origin is target:
        refuse_needless_limit(call)
        if call.origin == call.hotkey:
            refuse(call, "SameHotkey", "name two hotkeys, or two subnets")
        _pace(context, call, (call.netuid, call.origin, coldkey), (call.netuid, call.hotkey, coldkey))
        restake(origin, call.origin, coldkey, -call.amount)
        restake(origin, call.hotkey, coldkey, call.amount)
        tao, got = 0, call.amount
    else:
        tao, got = _through_pools(context, call, coldkey, origin, target)
    context.tell(
        "StakeMoved",
        origin=call.origin,
        hotkey=call.hotkey,
        coldkey=coldkey,
        amount=call.amount,
        origin_netuid=call.origin_netuid,
        netuid=call.netuid,
        tao=tao,
        got=got,
    )


def _through_pools(
    context: Context, call: MoveStake, coldkey: str, origin: SubnetState | None, target: SubnetState | None
) -> tuple[int, int]:
    """TAO that went through, and what came out at the other end."""
    ledger, tao = context.state.ledger, call.amount
    if origin is not None:
        tao = _sold(context, call, origin, call.origin, coldkey)
    alpha = 0
    if target is not None:
        _check_amount(context, call, tao)
        alpha = _bought(context, call, target, tao)
    _check_ratio(context, call, origin, target, tao, alpha)
    _pace(context, call, (call.origin_netuid, call.origin, coldkey), (call.netuid, call.hotkey, coldkey))
    if origin is None:
        ledger.stake_into_pool(call.netuid, call.origin, coldkey, tao)
    else:
        _give(origin, call.origin, coldkey, call.amount, tao)
        if target is None:
            ledger.stake_from_pool(call.origin_netuid, call.hotkey, coldkey, tao)
        else:
            ledger.between_pools(call.origin_netuid, call.netuid, tao)
    if target is not None:
        _receive(context, target, call.hotkey, coldkey, tao)
    return tao, alpha if target is not None else tao


def _receive(context: Context, subnet: SubnetState, hotkey: str, coldkey: str, tao: int) -> None:
    """Alpha for TAO that the pool has."""
    restake(subnet, hotkey, coldkey, buy(context.state, subnet, tao))
    of(subnet).flow += tao


def _give(subnet: SubnetState, hotkey: str, coldkey: str, alpha: int, tao: int) -> None:
    """Alpha into the pool, which is about to pay TAO for it."""
    restake(subnet, hotkey, coldkey, -alpha)
    take_in(subnet, alpha)
    of(subnet).flow -= tao


def _traded(context: Context, call: Trade, netuid: int) -> SubnetState:
    if not context.state.network.parameters.alpha:
        refuse(call, "SubtokenDisabled", "TAO is staked to hotkeys here, there is no alpha of subnets")
    subnet = context.subnet(call, netuid)
    if subnet.starts_at is None:
        refuse(call, "SubtokenDisabled", f"subnet {netuid} has not been started by its owner")
    return subnet


def _check_amount(context: Context, call: Trade, tao: int) -> None:
    least = context.state.network.parameters.min_stake
    if tao < max(1, least):
        refuse(call, "AmountTooLow", f"{tao} rao; a trade is of {max(1, least)} rao at least")


def refuse_needless_limit(call: Trade) -> None:
    """TAO on root, and alpha that only changes its hotkey, are no trades: a limit is a mistake."""
    if call.limit_price is not None:
        refuse(call, "ValueNotInBounds", "a limit_price is for trades of alpha; nothing is traded here")


def _check_limit(call: AddStake | RemoveStake, tao: int, reserve: int) -> None:
    """Against the price at which the trade would leave the pool, exactly."""
    if call.limit_price is None:
        return
    after, limit = tao * RAO, call.limit_price * reserve
    if after > limit if isinstance(call, AddStake) else after < limit:
        refuse(
            call,
            "SlippageTooHigh",
            f"the price would be {after // reserve} rao, the limit is {call.limit_price}",
        )


def _check_ratio(
    context: Context,
    call: MoveStake,
    origin: SubnetState | None,
    target: SubnetState | None,
    tao: int,
    alpha: int,
) -> None:
    """Against the ratio of the prices at which the trade would leave both pools, exactly; that of TAO is one."""
    if call.limit_price is None:
        return
    pools, sold, bought = context.state.ledger.pools, (1, 1), (1, 1)
    if origin is not None:
        sold = pools[origin.netuid] - tao, of(origin).reserve + call.amount
    if target is not None:
        bought = pools[target.netuid] + tao, of(target).reserve - alpha
    whole, part = sold[0] * bought[1] * RAO, sold[1] * bought[0]
    if whole < call.limit_price * part:
        refuse(
            call,
            "SlippageTooHigh",
            f"the ratio would be {whole // part} / 1e9, the limit is {call.limit_price}",
        )


def _check_held(call: RemoveStake | MoveStake, subnet: SubnetState, hotkey: str, coldkey: str) -> None:
    if call.amount == 0:
        refuse(call, "StakeToWithdrawIsZero", "name an amount above zero")
    held = of(subnet).stake_of(hotkey, coldkey)
    if held < call.amount:
        refuse(
            call,
            "NotEnoughStakeToWithdraw",
            f"{coldkey} has {held} rao of alpha {subnet.netuid} on {hotkey}",
        )


def _bought(context: Context, call: AddStake | MoveStake, subnet: SubnetState, tao: int) -> int:
    alpha = quote_buy(context.state, subnet, tao)
    if not alpha:
        refuse(
            call, "InsufficientLiquidity", f"the pool of subnet {subnet.netuid} has no alpha to give for it"
        )
    return alpha


def _sold(
    context: Context, call: RemoveStake | MoveStake, subnet: SubnetState, hotkey: str, coldkey: str
) -> int:
    """What the pool pays; less than the minimum is for who sells all of it only."""
    tao = quote_sale(context.state, subnet, call.amount)
    if not tao:
        refuse(call, "InsufficientLiquidity", f"the pool of subnet {subnet.netuid} has no TAO to give for it")
    if of(subnet).stake_of(hotkey, coldkey) > call.amount:
        _check_amount(context, call, tao)
    return tao


def _pace(context: Context, call: Trade, *places: tuple[int, str, str]) -> None:
    """Once in an interval for each stake. Refuses, or takes note; the last check before the first change."""
    pause = context.state.network.parameters.stake_interval
    keys = [f"{netuid}:{hotkey}:{coldkey}" for netuid, hotkey, coldkey in places]
    name = "UnstakeRateLimitExceeded" if isinstance(call, RemoveStake) else "StakeRateLimitExceeded"
    for key in keys:
        wait = context.state.network.waits("stake", key, context.block, pause)
        if wait:
            refuse(call, name, f"once per {pause} blocks; again in {wait}")
    for key in keys if pause else ():
        context.state.pace("stake", key, context.block)
