"""Subnets that come, change and go."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from ranvier.chain.alpha import open_market
from ranvier.chain.birth import new_subnet
from ranvier.chain.calls import CreateSubnet, DissolveSubnet, SetHyperparameter, StartCall
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.handlers.registration import place
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.liquid import ALPHA_LIMITS, refuse_alphas
from ranvier.chain.owner_limits import BOUNDS_FIRST, owner_limits, refuse_value
from ranvier.chain.state import SubnetState
from ranvier.chain.subnet_life import dissolve, lock_now, weakest


def create_subnet(context: Context, call: CreateSubnet, coldkey: str) -> None:
    """Lock the cost and found a subnet, at the limit in the place of the one that earns least."""
    state, network = context.state, context.state.network
    wait = network.until_next_subnet(context.block)
    if wait:
        refuse(
            call,
            "NetworkTxRateLimitExceeded",
            f"one subnet in {network.parameters.subnet_interval} blocks; again in {wait}",
        )
    if state.ledger.owners.get(call.hotkey, coldkey) != coldkey:
        refuse(call, "NonAssociatedColdKey", "the hotkey belongs to another coldkey")
    cost = lock_now(network, context.block)
    if not state.ledger.can_pay(coldkey, cost):
        refuse(
            call,
            "NotEnoughBalanceToStake",
            f"the lock is {cost} rao, {coldkey} has {state.ledger.balance(coldkey)}",
        )
    gone = None
    if len(state.subnets) >= network.parameters.limit_at(context.block):
        gone = weakest(state, context.block)
        if gone is None:
            refuse(
                call,
                "AllNetworksInImmunity",
                "all subnets are new; the weakest can be replaced once it is not",
            )
        end_subnet(context, gone)
    netuid = next(number for number in range(1, 65536) if number not in state.subnets)
    state.ledger.own(call.hotkey, coldkey)
    state.subnets[netuid] = new_subnet(netuid, call.name, coldkey, context.genesis, context.block)
    subnet = state.subnets[netuid]
    subnet.owner_hotkey = call.hotkey
    if network.parameters.alpha:
        state.ledger.pay_pool(coldkey, netuid, cost)
        open_market(state, subnet, cost, known=False)
    else:
        state.ledger.lock(coldkey, netuid, cost)
    first = context.rules.found(subnet)
    if first is not None:
        place(context, subnet, first)
    network.last_lock, network.founded_at = cost, context.block
    state.touch("network/")
    told = {"owner": coldkey, "lock": cost, "replaced": gone, "name": call.name}
    context.tell("NetworkAdded", netuid=netuid, **told, started=subnet.starts_at is not None)


def start_call(context: Context, call: StartCall, coldkey: str) -> None:
    """Begin emission and trades of one's own subnet."""
    if context.genesis.era == "2024":
        refuse(call, "CallDisabled", "subnets run from their founding on by the rules of 2024")
    subnet = context.state.subnets.get(call.netuid)
    if subnet is None:
        refuse(call, "SubnetNotExists", f"there is no subnet {call.netuid}")
    _check_owner(call, subnet, coldkey)
    if subnet.starts_at is not None:
        since = f"subnet {call.netuid} runs since block {subnet.starts_at}"
        refuse(call, "FirstEmissionBlockNumberAlreadySet", since)
    ready = subnet.created_at + context.state.network.parameters.start_delay
    if context.block < ready:
        refuse(call, "StartCallNotReady", f"subnet {call.netuid} may start from block {ready} on")
    subnet.starts_at = context.block + 1
    subnet.touch("")
    context.tell("FirstEmissionBlockNumberSet", netuid=call.netuid, block=subnet.starts_at)


def dissolve_subnet(context: Context, call: DissolveSubnet, coldkey: str) -> None:
    """End one's own subnet."""
    _check_owner(call, context.subnet(call, call.netuid), coldkey)
    end_subnet(context, call.netuid)


def end_subnet(context: Context, netuid: int) -> None:
    """Dissolve a subnet, whoever orders it."""
    owner = context.state.subnets[netuid].owner
    returned = dissolve(context.state, context.rules, netuid)
    context.tell("NetworkRemoved", netuid=netuid, owner=owner, returned=returned)


def set_hyperparameter(context: Context, call: SetHyperparameter, coldkey: str) -> None:
    """Change one setting, within what an owner may choose."""
    subnet = context.subnet(call, call.netuid)
    _check_owner(call, subnet, coldkey)
    era, may_be_set = context.genesis.era, owner_limits(context.genesis.era)
    if call.name not in may_be_set:
        listed = ", ".join(sorted(may_be_set))
        refuse(call, "BadOrigin", f"only the chain's root changes {call.name!r}; an owner changes {listed}")
    if era == "2024" or call.name in BOUNDS_FIRST:
        _check_bounds(context, call)
        _check_freeze(context, call, subnet)
        _check_pace(context, call, subnet)
    else:
        _check_pace(context, call, subnet)
        _check_freeze(context, call, subnet)
        _check_bounds(context, call)
        _check_prices(call, subnet)
    _check_alphas(context, call, subnet)
    change_hyperparameter(context, call, subnet)
    context.state.pace("hyperparameter", f"{call.netuid}:{call.name}", context.block)


def _check_bounds(context: Context, call: SetHyperparameter) -> None:
    refusal = refuse_value(context.genesis.era, call.name, call.value)
    if refusal:
        low, high = owner_limits(context.genesis.era)[call.name]
        refuse(call, refusal, f"{call.name} is from {low} to {high} for an owner")


def _check_pace(context: Context, call: SetHyperparameter, subnet: SubnetState) -> None:
    network = context.state.network
    pause = network.owner_pause(call.name, subnet.hyperparameters.tempo)
    wait = network.waits("hyperparameter", f"{call.netuid}:{call.name}", context.block, pause)
    if wait:
        refuse(call, "TxRateLimitExceeded", f"{call.name} changes once in {pause} blocks; again in {wait}")


def _check_freeze(context: Context, call: SetHyperparameter, subnet: SubnetState) -> None:
    """Nothing changes while validators set the weights of an epoch that is near."""
    if not context.rules.until_frozen(context.state, subnet, context.block):
        due = subnet.counted_from + subnet.hyperparameters.tempo
        window = context.state.network.parameters.freeze_window
        refuse(
            call,
            "AdminActionProhibitedDuringWeightsWindow",
            f"nothing changes in the {window} blocks before an epoch; the next one is in block {due}",
        )


def _check_prices(call: SetHyperparameter, subnet: SubnetState) -> None:
    settings = subnet.hyperparameters
    if call.name == "min_burn" and call.value >= settings.max_burn:
        refuse(call, "ValueNotInBounds", f"max_burn is {settings.max_burn}; min_burn lies below it")
    if call.name == "max_burn" and call.value <= settings.min_burn:
        refuse(call, "ValueNotInBounds", f"min_burn is {settings.min_burn}; max_burn lies above it")


def _check_alphas(context: Context, call: SetHyperparameter, subnet: SubnetState) -> None:
    if call.name not in ("alpha_low", "alpha_high"):
        return
    settings = subnet.hyperparameters
    if context.genesis.era == "y2" and not settings.liquid_alpha:
        refuse(
            call, "LiquidAlphaDisabled", f"subnet {call.netuid} has no liquid alpha; set liquid_alpha to 1"
        )
    low = call.value if call.name == "alpha_low" else settings.alpha_low
    high = call.value if call.name == "alpha_high" else settings.alpha_high
    refusal = refuse_alphas(context.genesis.era, low, high)
    if refusal:
        refuse(call, refusal, ALPHA_LIMITS[context.genesis.era])


def change_hyperparameter(context: Context, call: SetHyperparameter, subnet: SubnetState) -> None:
    """Change a setting, whoever orders it; refuses what the settings' model does not take."""
    before = subnet.hyperparameters
    if call.name not in Hyperparameters.model_fields:
        refuse(call, "ValueNotInBounds", f"there is no hyperparameter {call.name!r}")
    kind = Hyperparameters.model_fields[call.name].annotation
    value = bool(call.value) if kind is bool and call.value in (0, 1) else call.value
    try:
        after = Hyperparameters.model_validate({**before.model_dump(), call.name: value})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        refuse(call, "ValueNotInBounds", f"{call.name}: {first['msg']}")
    if after.max_allowed_uids < len(subnet.slots):
        refuse(call, "MaxAllowedUIdsLessThanCurrentUIds", f"the subnet has {len(subnet.slots)} neurons")
    subnet.hyperparameters = after
    if call.name == "tempo" and context.genesis.era == "y2":
        subnet.counted_from = context.block
    subnet.burn = min(max(subnet.burn, after.min_burn), max(after.max_burn, after.min_burn))
    difficulty = subnet.difficulty if context.genesis.era == "2024" else after.difficulty
    subnet.difficulty = min(
        max(difficulty, after.min_difficulty), max(after.max_difficulty, after.min_difficulty)
    )
    subnet.touch("")
    context.tell(
        "HyperparameterSet",
        netuid=call.netuid,
        name=call.name,
        value=call.value,
        before=int(getattr(before, call.name)),
    )


def _check_owner(
    call: DissolveSubnet | SetHyperparameter | StartCall, subnet: SubnetState, coldkey: str
) -> None:
    if subnet.owner != coldkey:
        refuse(call, "NotSubnetOwner", f"subnet {subnet.netuid} belongs to {subnet.owner or 'nobody'}")


HANDLERS: Mapping[type, Handler] = {
    CreateSubnet: create_subnet,
    StartCall: start_call,
    DissolveSubnet: dissolve_subnet,
    SetHyperparameter: set_hyperparameter,
}
