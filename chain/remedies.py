"""What to do about a refusal, by the chain's own error name; the same for every back end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_WAIT = "wait for the rate limit to pass; it is tried again with a later block"
_REGISTER = "register the hotkey on this subnet first (--register, the coldkey pays)"
_FUND = "move TAO to the signing coldkey, or name a smaller amount"
_ADDRESS = "publish an address that others can reach (advertise); loopback cannot be published"
_ROW = "the row itself is wrong: report it, with the subnet's hyperparameters"
_PROMISE = "the promise is lost; the next epoch's weights are promised anew"

REMEDIES: Final[Mapping[str, str]] = {
    "AllNetworksInImmunity": "try again when the oldest subnet has been there long enough to be replaced",
    "AncientBirthBlock": "the call came too late: check the clock and the connection, then send it again",
    "BadOrigin": "sign with the key that may do this",
    "BadRequest": "the node's pool takes no such call now; try again, or by another node",
    "CallDisabled": "this chain does not carry out such calls; another call or another chain is needed",
    "ColdkeySwapDisputed": "the swap of this coldkey is disputed; its calls wait until the network has decided",
    "ColdkeySwapAnnounced": "a swap of this coldkey is announced; its calls wait until that is done or cleared",
    "CommitRevealDisabled": "weights are set in the open here now; the next attempt does so",
    "CommitRevealEnabled": "weights are promised and revealed here now; the next attempt does so",
    "CommittingWeightsTooFast": _WAIT,
    "DelegateTakeTooHigh": "name a smaller take; the network caps it",
    "DelegateTakeTooLow": "name a take that differs in the call's direction and is no less than the network's minimum",
    "DelegateTxRateLimitExceeded": _WAIT,
    "DuplicateUids": _ROW,
    "ExistentialDeposit": "send more: a new account must hold the existential deposit",
    "Expendability": "leave the existential deposit with the sender",
    "ExpiredWeightCommit": _PROMISE,
    "HotKeyAccountNotExists": "register the hotkey on some subnet first",
    "HotKeyAlreadyRegisteredInSubNet": "nothing to do: the hotkey has its uid already",
    "HotKeyAlreadyDelegate": "nothing to do: others may stake to it already",
    "HotKeyNotDelegate": "its owner makes it a delegate first (BecomeDelegate)",
    "HotKeyNotDelegateAndSignerNotOwnHotKey": "stake to a hotkey of yours, or to a delegate",
    "HotKeyNotRegisteredInNetwork": _REGISTER,
    "HotKeyNotRegisteredInSubNet": _REGISTER,
    "IncorrectWeightVersionKey": "the subnet's owner demands newer code: upgrade, or set version_key as announced",
    "IncorrectCommitRevealVersion": "the chain takes another form of locked weights: upgrade the official SDK",
    "InsufficientBalance": _FUND,
    "InsufficientLiquidity": "the subnet's pool cannot bear it: name a smaller amount",
    "InvalidDifficulty": "search on: the work must reach the subnet's difficulty of now",
    "InvalidIpAddress": _ADDRESS,
    "InvalidIpType": _ADDRESS,
    "InvalidPort": "publish the port that others can reach, not 0",
    "InvalidRevealCommitHashNotMatch": _PROMISE,
    "InvalidRevealRound": "the moment of opening has passed or is too far: the next attempt locks the row anew",
    "InvalidSeal": "work on the block, hotkey and nonce that you send",
    "InvalidWorkBlock": "work on a newer block; old work is worth nothing",
    "MaxAllowedUIdsLessThanCurrentUIds": "name at least as many slots as there are neurons",
    "MaxWeightExceeded": "give more miners a weight, or lower the largest: the subnet caps a single one",
    "NetworkTxRateLimitExceeded": _WAIT,
    "NeuronNoValidatorPermit": "validators need more stake than others: add some and await the next epoch",
    "NoWeightsCommitFound": _PROMISE,
    "NonAssociatedColdKey": "sign with the coldkey that owns the hotkey",
    "NomStakeBelowMinimumThreshold": "stake at least the network's minimum to another's hotkey",
    "NotEnoughBalanceToStake": _FUND,
    "NotEnoughStakeToSetWeights": "add stake to the hotkey up to the network's threshold",
    "NotEnoughStakeToWithdraw": "name no more than what is staked and free",
    "NotSubnetOwner": "sign with the coldkey that owns the subnet",
    "Payment": "the account cannot pay the fee: move TAO to it",
    "PriorityTooLow": "another call with the same number waits: it is tried again with the next block",
    "RateLimitExceeded": _WAIT,
    "RegistrationNotPermittedOnRootSubnet": "name another netuid; the root takes its members by stake",
    "RevealTooEarly": "the window opens later; it is tried again then",
    "ServingRateLimitExceeded": _WAIT,
    "SameHotkey": "name two different hotkeys",
    "SettingWeightsTooFast": _WAIT,
    "SlippageTooHigh": "the price would move too far: name a smaller amount",
    "StakeAmountTooLow": "the hotkey's stake or the amount lies under the chain's minimum: add to it",
    "StakeRateLimitExceeded": _WAIT,
    "StakeToWithdrawIsZero": "name an amount above zero",
    "StakeTooLowForRoot": "all seats are taken by more stake: add to yours",
    "Stale": "another call took this number: it is tried again",
    "SubNetRegistrationDisabled": "the owner has closed registrations; name another subnet or wait",
    "SubNetworkDoesNotExist": "`ranvier subnets --network ...` lists those there are",
    "SubnetNotExists": "`ranvier subnets --network ...` lists those there are",
    "SubtokenDisabled": "this chain or subnet takes TAO only: leave netuid at 0",
    "TooManyRegistrationsThisBlock": "try again with the next block",
    "TooManyRegistrationsThisInterval": "try again in the next interval; the price has risen",
    "TooManyUnrevealedCommits": "ten promises are open: they must be revealed or expire first",
    "TxRateLimitExceeded": _WAIT,
    "UidVecContainInvalidOne": _ROW,
    "UidsLengthExceedUidsInSubNet": _ROW,
    "UnstakeRateLimitExceeded": _WAIT,
    "ValueNotInBounds": "name a value within the limits",
    "WeightVecLengthIsLow": "the subnet asks for more weights than miners earned one; wait for more of them",
    "WeightVecNotEqualSize": _ROW,
    "WorkRepeated": "search for other work",
}


def remedy(name: str) -> str:
    """What to do about a refusal; empty for a name that is not listed."""
    return REMEDIES.get(name, "")
