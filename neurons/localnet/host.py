"""One process of a localnet: the miners, or the validators, of one subnet, each a participant of its own.

Run as ``python -m ranvier.neurons.localnet.host FOLDER SUBNET miners|validators``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from pydantic import Field

from ranvier.chain import Wallet, connect
from ranvier.engines.box import multiplies_bfloat16
from ranvier.engines.client import EngineClient
from ranvier.neurons.cli.running import run_until_signal
from ranvier.neurons.config.load import load_one
from ranvier.neurons.config.models import (
    DoorSettings,
    LogSettings,
    MinerSettings,
    Settings,
    ValidatorSettings,
)
from ranvier.neurons.config.networks import Network
from ranvier.neurons.localnet.adversaries import Pet, self_dealing, slowed
from ranvier.neurons.localnet.cast import MINIMUM_STAKE, Kind
from ranvier.neurons.localnet.plan import Folder, Member, Plan, Subnetwork
from ranvier.neurons.logs import configure
from ranvier.neurons.miner import MinerNode
from ranvier.neurons.validator import ValidatorNode
from ranvier.subnets import Miner, Subnet, load_subnet

PATIENCE = 3.0
"""Times a subnet's deadline where the processor does not multiply bfloat16: a text engine is several times slower
there, and all of a network's miners and validators share it with two other subnets' models."""
_log = logging.getLogger(__name__)


class Host:
    """Runs the members of one subnet that share this process."""

    def __init__(self, folder: Folder, plan: Plan, subnet: Subnetwork) -> None:
        self._folder, self._plan, self._planned = folder, plan, subnet
        self._subnet = load_subnet(subnet.name)
        self._network = Network("local", plan.endpoint)

    async def run(self, role: str, stop: asyncio.Event) -> None:
        """Run all members of ``role`` until ``stop``; each has a chain client of its own."""
        members = self._planned.miners if role == "miners" else self._planned.validators
        make = self._miner if role == "miners" else self._validator
        async with AsyncExitStack() as stack:
            engine = None
            if self._planned.engine:
                engine = await stack.enter_async_context(EngineClient(self._planned.engine))
            chain = connect(self._plan.endpoint)
            stack.push_async_callback(chain.close)
            async with asyncio.TaskGroup() as group:
                for member in members:
                    group.create_task(make(member, chain, engine, stop), name=member.name)

    def _miner(
        self, member: Member, chain: Any, engine: EngineClient | None, stop: asyncio.Event
    ) -> Coroutine[Any, Any, None]:
        settings = MinerSettings(
            **self._common(member),
            model=member.model or "",
            door=DoorSettings(minimum_stake=MINIMUM_STAKE),
        )
        code = _code(self._subnet, member)
        return MinerNode(
            settings, self._network, chain, self._key(member), self._subnet, code, engine=engine
        ).run(stop)

    def _validator(
        self, member: Member, chain: Any, engine: EngineClient | None, stop: asyncio.Event
    ) -> Coroutine[Any, Any, None]:
        settings = ValidatorSettings(
            **self._common(member),
            round_blocks=self._plan.round_blocks,
            settings=self._settings(),
            events=str(self._folder.events(member.name)),
        )
        subnet = self._subnet
        if member.kind is Kind.SELF_DEALER:
            (pet,) = self._planned.of(Kind.PET)
            subnet = self_dealing(subnet, pet.hotkey)
        return ValidatorNode(settings, self._network, chain, self._key(member), subnet, engine=engine).run(
            stop
        )

    def _settings(self) -> dict[str, Any]:
        """Of the subnet: few answers, so that every one is looked at, and time for models on a slow processor."""
        found: dict[str, Any] = {"audit_rate": 1.0}
        if self._planned.engine and not multiplies_bfloat16():
            found["deadline"] = PATIENCE * self._subnet.Settings().deadline
        return found

    def _common(self, member: Member) -> dict[str, Any]:
        return {
            "subnet": self._planned.name,
            "netuid": self._planned.netuid,
            "network": self._plan.endpoint,
            "wallet": member.name,
            "wallets": str(self._folder.wallets),
            "state": str(self._folder.nodes),
            "refresh_blocks": max(1, self._plan.tempo // 8),
        }

    def _key(self, member: Member) -> Any:
        return Wallet(member.name, root=self._folder.wallets).load_hotkey()


def _code(subnet: type[Subnet[Any]], member: Member) -> type[Miner[Any]]:
    """The miner class that a member runs."""
    if member.kind is Kind.PET:
        return Pet
    if member.kind is Kind.WEAK and subnet.weaker is not None:
        return subnet.weaker[0]
    if member.cheat is not None:
        return subnet.cheats[member.cheat].miner
    return slowed(subnet.miner, member.delay) if member.delay else subnet.miner


class _Spoken(Settings):
    """What the environment may say to all processes of a localnet."""

    log: LogSettings = Field(default=LogSettings(), description="logging")


def main() -> None:
    """Read the plan and run one group of its members."""
    place, name, role = sys.argv[1:]
    folder = Folder(Path(place))
    plan = Plan.model_validate_json(folder.plan.read_text())
    spoken = {key: value for key, value in os.environ.items() if key.startswith("RANVIER_LOG__")}
    configure(load_one(_Spoken, None, {}, spoken).log)
    host = Host(folder, plan, plan.subnet(name))
    run_until_signal(lambda stop: host.run(role, stop))


if __name__ == "__main__":
    main()
