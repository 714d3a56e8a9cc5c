"""What the chain's records mean in our models."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import AxonInfo, Block, Epoch, EpochRow, Metagraph, Neuron, WeightCommit

SETTINGS: Final[Mapping[str, str]] = {
    "tempo": "Tempo",
    "kappa": "Kappa",
    "max_allowed_uids": "MaxAllowedUids",
    "max_allowed_validators": "MaxAllowedValidators",
    "min_allowed_weights": "MinAllowedWeights",
    "max_weight_limit": "MaxWeightsLimit",
    "immunity_period": "ImmunityPeriod",
    "activity_cutoff": "ActivityCutoff",
    "activity_cutoff_factor": "ActivityCutoffFactorMilli",
    "min_non_immune_uids": "MinNonImmuneUids",
    "immune_owner_uids_limit": "ImmuneOwnerUidsLimit",
    "weights_rate_limit": "WeightsSetRateLimit",
    "weights_version_key": "WeightsVersionKey",
    "commit_reveal": "CommitRevealWeightsEnabled",
    "reveal_period": "RevealPeriodEpochs",
    "serving_rate_limit": "ServingRateLimit",
    "adjustment_interval": "AdjustmentInterval",
    "adjustment_alpha": "AdjustmentAlpha",
    "target_regs_per_interval": "TargetRegistrationsPerInterval",
    "max_regs_per_block": "MaxRegistrationsPerBlock",
    "registration_allowed": "NetworkRegistrationAllowed",
    "burn": "Burn",
    "min_burn": "MinBurn",
    "max_burn": "MaxBurn",
    "difficulty": "Difficulty",
    "min_difficulty": "MinDifficulty",
    "max_difficulty": "MaxDifficulty",
    "work_allowed": "NetworkPowRegistrationAllowed",
    "bonds_moving_average": "BondsMovingAverage",
    "bonds_penalty": "BondsPenalty",
    "bonds_reset": "BondsResetOn",
    "yuma3": "Yuma3On",
    "liquid_alpha": "LiquidAlphaOn",
    "alpha_values": "AlphaValues",
    "alpha_sigmoid_steepness": "AlphaSigmoidSteepness",
}
"""Our names of a subnet's settings and the chain's storage. What a chain lacks keeps our default."""
GLOBAL_SETTINGS: Final[Mapping[str, str]] = {
    "weights_min_stake": "StakeThreshold",
    "subnet_owner_cut": "SubnetOwnerCut",
}
"""Those that hold for all subnets."""


def hyperparameters(found: Mapping[str, Any]) -> Hyperparameters:
    """From the values that were found; None keeps the default, but a chain that knows no Yuma 3 does not run it."""
    known = {name: value for name, value in found.items() if value is not None}
    if "alpha_values" in known:
        known["alpha_low"], known["alpha_high"] = known.pop("alpha_values")
    return Hyperparameters.model_validate({"yuma3": False, **known})


def metagraph(graph: Mapping[str, Any], block: Block, trusts: Sequence[Any]) -> Metagraph:
    """From the record of ``SubnetInfoRuntimeApi.get_metagraph``; `trusts` are validators', by uid."""
    hotkeys = [str(hotkey) for hotkey in graph["hotkeys"]]
    return Metagraph(
        netuid=int(graph["netuid"]),
        name=text(graph.get("name")),
        block=block.number,
        block_hash=block.hash,
        tempo=int(graph["tempo"]),
        last_step=int(graph["last_step"]),
        neurons=tuple(_neuron(graph, uid, hotkey, trusts) for uid, hotkey in enumerate(hotkeys)),
    )


def _neuron(graph: Mapping[str, Any], uid: int, hotkey: str, trusts: Sequence[Any]) -> Neuron:
    def at(column: str) -> Any:
        values = graph.get(column) or ()
        return values[uid] if uid < len(values) else 0

    return Neuron(
        uid=uid,
        hotkey=hotkey,
        coldkey=str(at("coldkeys")),
        stake=int(at("total_stake")),
        active=bool(at("active")),
        validator_permit=bool(at("validator_permit")),
        last_update=int(at("last_update")),
        registered_at=int(at("block_at_registration")),
        rank=int(at("rank")),
        trust=int(at("trust")),
        validator_trust=int(trusts[uid]) if uid < len(trusts) else 0,
        consensus=int(at("consensus")),
        incentive=int(at("incentives")),
        dividends=int(at("dividends")),
        emission=int(at("emission")),
        axon=axon(at("axons")),
    )


def axon(record: Any) -> AxonInfo | None:
    """A published address; None where nothing was, or nothing that can be dialled."""
    if not isinstance(record, Mapping) or not int(record.get("ip") or 0) or not int(record.get("port") or 0):
        return None
    number = int(record["ip"])
    kind = (
        ipaddress.IPv6Address
        if int(record.get("ip_type") or 4) == 6 or number >= 1 << 32
        else ipaddress.IPv4Address
    )
    return AxonInfo(str(kind(number)), int(record["port"]), int(record["version"]), int(record["block"]))


def text(value: Any) -> str:
    """A name, kept as bytes, numbers or hex. Strangers choose it: only what can be printed is left."""
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value.removeprefix("0x")) if value.startswith("0x") else value.encode()
        except ValueError:
            value = value.encode(errors="replace")
    decoded = bytes(value or b"").decode("utf-8", errors="replace")
    return "".join(letter for letter in decoded if letter.isprintable())


def rows(found: Sequence[tuple[Any, Any]]) -> dict[int, dict[int, int]]:
    """A matrix of weights or bonds."""
    return {int(uid): {int(to): int(value) for to, value in row or ()} for uid, row in found}


def promises(found: Any) -> tuple[WeightCommit, ...]:
    """Promises by hash, as ``WeightCommits`` keeps them."""
    return tuple(
        WeightCommit(_hex(hashed), int(block), int(first), int(last))
        for hashed, block, first, last in found or ()
    )


def locked(found: Sequence[tuple[Any, Any]], hotkey: str) -> tuple[WeightCommit, ...]:
    """Promises that the chain opens by itself: it does not say when, so their window is 0 to 0."""
    entries = (entry for _, queue in found for entry in queue or ())
    return tuple(WeightCommit("", int(entry[1]), 0, 0) for entry in entries if str(entry[0]) == hotkey)


def newest_epoch(graph: Metagraph) -> Epoch:
    """The last epoch as the metagraph shows it.

    The chain keeps only a neuron's emission as a whole. It is divided by the rule that servers and validators get
    equal halves, shared by incentive and dividends: exact but for rounding where nobody's row was clipped to nothing.
    What miners of the subnet's owner would have got is burned there, and is not told apart.
    """
    incentives = sum(neuron.incentive for neuron in graph.neurons) or 1
    dividends = sum(neuron.dividends for neuron in graph.neurons) or 1
    return Epoch(graph.last_step, tuple(_row(neuron, incentives, dividends) for neuron in graph.neurons))


def _row(neuron: Neuron, incentives: int, dividends: int) -> EpochRow:
    server, validator = neuron.incentive / incentives, neuron.dividends / dividends
    share = server / (server + validator) if server + validator else 0.0
    paid = round(neuron.emission * share)
    return EpochRow(
        neuron.uid, neuron.hotkey, neuron.incentive, neuron.dividends, paid, neuron.emission - paid
    )


def _hex(value: Any) -> str:
    if isinstance(value, str):
        return value if value.startswith("0x") else "0x" + value
    return "0x" + bytes(value).hex()
