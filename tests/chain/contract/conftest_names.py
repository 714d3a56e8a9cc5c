"""Refusals that a Subtensor runtime calls by another name than the local chain."""

DIFFERENT_NAMES = {"NotEnoughStakeToSetWeights": "StakeAmountTooLow"}
"""The contract suite expects these; docs/chain-back-ends.md lists them."""

DIFFERENCES = (
    "finality",
    "receipt",
    "stake",
    "events",
    "epochs",
    "emissions",
    "split of emission",
    "hyperparameters",
    "validator trust",
    "certificate",
    "promised weights",
    "locked weights",
    "registration",
    "alpha",
    "loopback",
    "addresses",
    "refusal at the pool",
    "silence",
)
"""Names of everything in which the back ends differ, as that page lists them."""
