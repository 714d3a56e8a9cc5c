"""Founding a network: keys on disk in the official layout, a genesis that names them, the plan that binds them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from typing import Any, Final

from bittensor_core import Keypair
from pydantic import ValidationError

from ranvier.chain import (
    RAO,
    Genesis,
    GenesisNeuron,
    GenesisSubnet,
    Wallet,
    local_genesis,
    local_hyperparameters,
)
from ranvier.neurons.localnet.cast import Participant, cast
from ranvier.neurons.localnet.errors import StateMismatch
from ranvier.neurons.localnet.options import Options
from ranvier.neurons.localnet.plan import Folder, Member, Plan, Subnetwork, free_port
from ranvier.subnets import Subnet, load_subnet

FAUCET: Final = 1_000
"""TAO that the operator's coldkey holds at the start, to register miners and validators of one's own."""
OWNER: Final = "owner"
GUEST: Final = "guest"
"""A staked seat on every subnet that nobody of the cast uses: for a validator of the operator's own."""
GUEST_STAKE: Final = 6_000
CHAIN_PORT: Final = 9944
"""Where the profile `local` looks; another one is taken where it is occupied."""

ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text=smollm2", "text=smollm2-pruned"),
    "classify": ("classify=sentiment", "classify=sentiment-small", "classify=sentiment-pruned"),
    "image": ("image=scenes", "image=scenes@bfloat16"),
    "embed": ("embed=minilm",),
}
"""What the engine of each kind serves: the honest model first, then those of the weaker and of the cheats, or the same
in another dtype that miners may declare."""


def open_plan(options: Options) -> Plan:
    """The stored plan, else a new network; raises `StateMismatch` where the stored one is another."""
    folder = Folder(options.state)
    if folder.plan.exists() and not options.fresh:
        return _continued(folder, options)
    return _found(folder, options)


def _continued(folder: Folder, options: Options) -> Plan:
    try:
        plan = Plan.model_validate_json(folder.plan.read_text())
    except (OSError, ValidationError) as error:
        raise StateMismatch(folder.root, f"its plan cannot be read ({str(error).splitlines()[0]})") from error
    wanted = (options.subnets, options.block_time, options.tempo)
    if wanted != (tuple(subnet.name for subnet in plan.subnets), plan.block_time, plan.tempo):
        raise StateMismatch(folder.root, "it has other subnets or another pace")
    # What engines serve is this version's: the plan may be of one before it.
    subnets = tuple(one.model_copy(update={"models": _models(load_subnet(one.name))}) for one in plan.subnets)
    plan = plan.model_copy(update={"chain_port": free_port(CHAIN_PORT), "subnets": subnets})
    folder.plan.write_text(plan.model_dump_json(indent=1))
    return plan


def _found(folder: Folder, options: Options) -> Plan:
    """The plan is written last: a founding that was interrupted is begun again from nothing."""
    chosen = [load_subnet(name) for name in options.subnets]
    for part in (folder.chain, folder.wallets, folder.logs, folder.nodes):
        shutil.rmtree(part, ignore_errors=True)
    folder.plan.unlink(missing_ok=True)
    folder.make()
    owner, guest = (_wallet(folder, options.seed, name) for name in (OWNER, GUEST))
    subnets = tuple(
        _subnetwork(folder, options.seed, netuid, subnet) for netuid, subnet in enumerate(chosen, 1)
    )
    _genesis(subnets, options, owner, guest).write(folder.genesis)
    plan = Plan(
        seed=options.seed,
        block_time=options.block_time,
        tempo=options.tempo,
        round_blocks=options.round_blocks,
        chain_port=free_port(CHAIN_PORT),
        subnets=subnets,
    )
    folder.plan.write_text(plan.model_dump_json(indent=1))
    return plan


def _subnetwork(folder: Folder, seed: int, netuid: int, subnet: type[Subnet[Any]]) -> Subnetwork:
    members = tuple(_member(folder, seed, uid, participant) for uid, participant in enumerate(cast(subnet)))
    return Subnetwork(
        name=subnet.name,
        netuid=netuid,
        engine=f"unix:{folder.socket(subnet.name)}" if subnet.engine else None,
        models=_models(subnet),
        members=members,
    )


def _models(subnet: type[Subnet[Any]]) -> tuple[str, ...]:
    return ENGINES[subnet.engine.kind] if subnet.engine else ()


def _member(folder: Folder, seed: int, uid: int, participant: Participant) -> Member:
    wallet = _wallet(folder, seed, participant.name)
    return Member(
        name=participant.name,
        kind=participant.kind,
        uid=uid,
        hotkey=wallet.hotkey_address(),
        coldkey=wallet.coldkey_address(),
        stake=participant.stake,
        cheat=participant.cheat,
        model=participant.model,
        delay=participant.delay,
    )


def _wallet(folder: Folder, seed: int, name: str) -> Wallet:
    """A plain wallet whose keys follow from the seed, so that a run can be repeated with the same hotkeys."""
    cold, hot = (_key(f"{seed}|{name}|{half}") for half in ("coldkey", "hotkey"))
    return Wallet.create_plain(name, root=folder.wallets, coldkey=cold, hot=hot)


def _key(text: str) -> Keypair:
    seed = hashlib.sha256(b"ranvier-localnet|" + text.encode()).digest()
    return Keypair.create_from_seed(seed)


def _genesis(subnets: tuple[Subnetwork, ...], options: Options, owner: Wallet, guest: Wallet) -> Genesis:
    seat = GenesisNeuron(
        hotkey=guest.hotkey_address(), coldkey=guest.coldkey_address(), stake=GUEST_STAKE * RAO
    )
    return local_genesis(
        [
            GenesisSubnet(
                name=subnet.name,
                owner=owner.coldkey_address(),
                hyperparameters=local_hyperparameters(options.tempo),
                neurons=(
                    *(
                        GenesisNeuron(hotkey=member.hotkey, coldkey=member.coldkey, stake=member.stake)
                        for member in subnet.members
                    ),
                    seat,
                ),
            )
            for subnet in subnets
        ],
        block_time=options.block_time,
        balances={owner.coldkey_address(): FAUCET * RAO},
    )
