"""TAO that moves: between balances, to stake and back."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.calls import AddStake, RemoveStake, Transfer
from ranvier.chain.handlers.context import Context, Handler, refuse


def add_stake(context: Context, call: AddStake, coldkey: str) -> None:
    """From the signer's balance to its stake on a hotkey."""
    ledger = context.state.ledger
    if not ledger.can_pay(coldkey, call.amount):
        held = ledger.balance(coldkey)
        refuse(call, "NotEnoughBalanceToStake", f"{coldkey} has {held} rao, less the existential deposit")
    _check_pair(context, call, coldkey)
    _check_pace(context, call, coldkey, "StakeRateLimitExceeded")
    ledger.stake(coldkey, call.hotkey, call.amount, context.block)
    context.tell("StakeAdded", hotkey=call.hotkey, coldkey=coldkey, amount=call.amount)


def remove_stake(context: Context, call: RemoveStake, coldkey: str) -> None:
    """Back to the signer's balance."""
    _check_pair(context, call, coldkey)
    if call.amount == 0:
        refuse(call, "StakeToWithdrawIsZero", "name an amount above zero")
    ledger = context.state.ledger
    held = ledger.stake_of(call.hotkey, coldkey)
    if held < call.amount:
        refuse(call, "NotEnoughStakeToWithdraw", f"{coldkey} has {held} rao on {call.hotkey}")
    _check_pace(context, call, coldkey, "UnstakeRateLimitExceeded")
    ledger.unstake(coldkey, call.hotkey, call.amount, context.block)
    context.tell("StakeRemoved", hotkey=call.hotkey, coldkey=coldkey, amount=call.amount)


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


def _check_pair(context: Context, call: AddStake | RemoveStake, coldkey: str) -> None:
    if call.netuid != 0:
        refuse(call, "SubtokenDisabled", "TAO is staked to hotkeys here, there is no alpha of subnets")
    owner = context.state.ledger.owners.get(call.hotkey)
    if owner is None:
        refuse(call, "HotKeyAccountNotExists", f"{call.hotkey} was never registered")
    if owner != coldkey:
        # Nobody is a delegate on this chain: a hotkey is staked to by its owner alone.
        refuse(call, "HotKeyNotDelegateAndSignerNotOwnHotKey", f"{call.hotkey} belongs to {owner}")


def _check_pace(context: Context, call: AddStake | RemoveStake, coldkey: str, name: str) -> None:
    last, pause = context.state.ledger.moved_at.get((call.hotkey, coldkey)), context.genesis.stake_interval
    if last is not None and context.block - last < pause:
        refuse(call, name, f"moved at block {last}; once per {pause} blocks")


HANDLERS: Mapping[type, Handler] = {AddStake: add_stake, RemoveStake: remove_stake, Transfer: transfer}
