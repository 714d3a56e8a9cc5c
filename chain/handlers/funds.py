"""TAO that moves: between balances, to stake and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ranvier.chain.calls import AddStake, Faucet, MoveStake, RemoveStake, Transfer
from ranvier.chain.handlers.alpha import buy_stake, refuse_needless_limit, sell_stake, swap_stake
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.supply import room

FAUCET_INTERVAL: Final = 10
"""Blocks between two gifts to the same coldkey."""


def add_stake(context: Context, call: AddStake, coldkey: str) -> None:
    """From the signer's balance to its stake on a hotkey."""
    ledger = context.state.ledger
    if not ledger.can_pay(coldkey, call.amount):
        held = ledger.balance(coldkey)
        refuse(call, "NotEnoughBalanceToStake", f"{coldkey} has {held} rao, less the existential deposit")
    _check_open(context, call, call.hotkey, coldkey)
    if call.netuid != 0:
        buy_stake(context, call, coldkey)
        return
    refuse_needless_limit(call)
    _check_least(context, call, call.hotkey, coldkey, ledger.stake_of(call.hotkey, coldkey) + call.amount)
    _check_pace(context, call, (call.hotkey, coldkey), "StakeRateLimitExceeded")
    ledger.stake(coldkey, call.hotkey, call.amount, context.block)
    context.tell("StakeAdded", hotkey=call.hotkey, coldkey=coldkey, amount=call.amount)


def remove_stake(context: Context, call: RemoveStake, coldkey: str) -> None:
    """Back to the signer's balance; what is left of another's hotkey below the minimum comes back, too."""
    if call.netuid != 0:
        _check_open(context, call, call.hotkey, coldkey)
        sell_stake(context, call, coldkey)
        return
    refuse_needless_limit(call)
    held = _withdrawable(context, call, call.hotkey, coldkey)
    _check_pace(context, call, (call.hotkey, coldkey), "UnstakeRateLimitExceeded")
    ledger, amount = context.state.ledger, call.amount
    if not _is_enough(context, call.hotkey, coldkey, held - amount):
        amount = held
    ledger.unstake(coldkey, call.hotkey, amount, context.block)
    context.tell("StakeRemoved", hotkey=call.hotkey, coldkey=coldkey, amount=amount)


def move_stake(context: Context, call: MoveStake, coldkey: str) -> None:
    """From one hotkey to another, under the checks of both ways; never through a balance."""
    if (call.origin_netuid, call.netuid) != (0, 0):
        _swap(context, call, coldkey)
        return
    refuse_needless_limit(call)
    if call.origin == call.hotkey:
        refuse(call, "SameHotkey", "name two hotkeys")
    held = _withdrawable(context, call, call.origin, coldkey)
    _check_open(context, call, call.hotkey, coldkey)
    ledger = context.state.ledger
    amount = call.amount if _is_enough(context, call.origin, coldkey, held - call.amount) else held
    _check_least(context, call, call.hotkey, coldkey, ledger.stake_of(call.hotkey, coldkey) + amount)
    _check_pace(context, call, (call.origin, coldkey), "UnstakeRateLimitExceeded")
    _check_pace(context, call, (call.hotkey, coldkey), "StakeRateLimitExceeded")
    ledger.move(coldkey, call.origin, call.hotkey, amount, context.block)
    context.tell("StakeMoved", origin=call.origin, hotkey=call.hotkey, coldkey=coldkey, amount=amount)


def _swap(context: Context, call: MoveStake, coldkey: str) -> None:
    _check_open(context, call, call.origin, coldkey)
    _check_open(context, call, call.hotkey, coldkey)
    if call.origin_netuid == 0:
        held = _withdrawable(context, call, call.origin, coldkey)
        if not _is_enough(context, call.origin, coldkey, held - call.amount):
            refuse(call, "AmountTooLow", f"{held - call.amount} rao would be left on root; move all, or less")
    swap_stake(context, call, coldkey)


def transfer(context: Context, call: Transfer, coldkey: str) -> None:
    """Between two balances; both keep at least the existential deposit."""
    ledger = context.state.ledger
    held = ledger.balance(coldkey)
    if held < call.amount:
        refuse(call, "InsufficientBalance", f"{coldkey} has {held} rao")
    if not ledger.can_pay(coldkey, call.amount):
        refuse(call, "Expendability", f"{ledger.existential_deposit} rao must stay with the sender")
    if ledger.balance(call.to) + call.amount < ledger.existential_deposit:
        refuse(call, "ExistentialDeposit", f"a balance starts with {ledger.existential_deposit} rao")
    ledger.transfer(coldkey, call.to, call.amount)
    context.tell("Transfer", sender=coldkey, to=call.to, amount=call.amount)


def faucet(context: Context, call: Faucet, coldkey: str) -> None:
    """New rao, once in an interval, where the genesis says how many."""
    amount, pause = context.genesis.faucet, FAUCET_INTERVAL
    if not amount:
        refuse(call, "FaucetDisabled", "this chain has no faucet")
    wait = context.state.network.waits("faucet", coldkey, context.block, pause)
    if wait:
        refuse(call, "TxRateLimitExceeded", f"once per {pause} blocks; again in {wait}")
    left = room(context.state)
    if amount > left:
        refuse(
            call,
            "FaucetDisabled",
            f"of all TAO that will ever be {left} rao are neither there nor granted yet",
        )
    context.state.ledger.mint(coldkey, amount)
    context.state.pace("faucet", coldkey, context.block)
    context.state.network.given_away += amount
    context.state.touch("network/")
    context.tell("Faucet", coldkey=coldkey, amount=amount)


def _check_open(
    context: Context, call: AddStake | RemoveStake | MoveStake, hotkey: str, coldkey: str
) -> None:
    """Whether the coldkey may stake to the hotkey: it is its own, or a delegate's."""
    owner = context.state.ledger.owners.get(hotkey)
    if owner is None:
        refuse(call, "HotKeyAccountNotExists", f"{hotkey} was never registered")
    if owner != coldkey and context.rules.take(context.state, hotkey) is None:
        refuse(
            call, "HotKeyNotDelegateAndSignerNotOwnHotKey", f"{hotkey} belongs to {owner}, who is no delegate"
        )


def _is_enough(context: Context, hotkey: str, coldkey: str, amount: int) -> bool:
    """Whether a coldkey may leave so much on a hotkey: nothing, the minimum, or anything on its own."""
    owner = context.state.ledger.owners.get(hotkey)
    return amount == 0 or owner == coldkey or amount >= context.state.network.parameters.min_stake


def _check_least(
    context: Context, call: AddStake | MoveStake, hotkey: str, coldkey: str, amount: int
) -> None:
    if not _is_enough(context, hotkey, coldkey, amount):
        least = context.state.network.parameters.min_stake
        refuse(call, "NomStakeBelowMinimumThreshold", f"at least {least} rao on another's hotkey")


def _withdrawable(context: Context, call: RemoveStake | MoveStake, hotkey: str, coldkey: str) -> int:
    """What the coldkey has there, if that is as much as it asks for."""
    _check_open(context, call, hotkey, coldkey)
    if call.amount == 0:
        refuse(call, "StakeToWithdrawIsZero", "name an amount above zero")
    held = context.state.ledger.stake_of(hotkey, coldkey)
    if held < call.amount:
        refuse(call, "NotEnoughStakeToWithdraw", f"{coldkey} has {held} rao on {hotkey}")
    return held


def _check_pace(
    context: Context, call: AddStake | RemoveStake | MoveStake, pair: tuple[str, str], name: str
) -> None:
    last, pause = context.state.ledger.moved_at.get(pair), context.state.network.parameters.stake_interval
    if last is not None and context.block - last < pause:
        refuse(call, name, f"moved at block {last}; once per {pause} blocks")


HANDLERS: Mapping[type, Handler] = {
    AddStake: add_stake,
    RemoveStake: remove_stake,
    MoveStake: move_stake,
    Transfer: transfer,
    Faucet: faucet,
}
