"""What a laboratory is made of: its participants with their keys, and the genesis that seats them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ranvier.chain import (
    RAO,
    Genesis,
    GenesisNeuron,
    GenesisSubnet,
    Keypair,
    local_genesis,
    local_hyperparameters,
)
from ranvier.neurons.localnet.cast import MINIMUM_STAKE, RELAY_STAKE, VALIDATOR_STAKES, Kind
from ranvier.subnets import Cheat, Miner, Subnet
from ranvier.testing.errors import BadSetup
from ranvier.testing.faults import ChainStops, Fault, Hang, Lie

NETUID: Final = 1
KINDS: Final[Mapping[str, Kind]] = {"relay": Kind.RELAY, "free": Kind.FREE, "cheaper": Kind.CHEAPER}
BLOCK_SECONDS: Final = 12.0
VALIDATOR: Final = "validator-"
_SUCCESSOR: Final = re.compile(r"-successor-\d+$")


def first_name(name: str) -> str:
    """The participant whose uid a successor took."""
    return _SUCCESSOR.sub("", name)


@dataclass(frozen=True, slots=True)
class Participant:
    """One hotkey of the laboratory. ``stake`` is in rao; ``code`` is what a miner answers with (None: validator)."""

    name: str
    kind: Kind
    key: Keypair = field(repr=False, compare=False)
    stake: int = 0
    code: type[Miner[Any]] | None = None
    model: str = ""

    @property
    def hotkey(self) -> str:
        """Its address."""
        return str(self.key.ss58_address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that decides a laboratory's course; see `ranvier.testing.Lab` for what each means."""

    subnet: type[Subnet[Any]]
    honest: int = 2
    cheats: Mapping[str, Cheat] | None = None
    validators: Sequence[int] = VALIDATOR_STAKES
    settings: Mapping[str, Any] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    tempo: int = 10
    round_blocks: int = 2
    seed: int = 0
    engine: str | None = None
    sockets: bool = False

    def __post_init__(self) -> None:
        if self.honest < 1 or not self.validators:
            raise BadSetup("a network needs an honest miner and a validator; raise honest, or name stakes")
        if min(self.validators) < MINIMUM_STAKE:
            raise BadSetup(f"a validator needs {MINIMUM_STAKE} TAO of stake, or no miner answers it")
        if self.subnet.engine is not None and self.engine is None:
            need = self.subnet.engine.kind
            raise BadSetup(
                f"subnet {self.subnet.name} needs a {need} engine; start one (`ranvier engine`), name it with engine="
            )
        self._check_faults()

    def _check_faults(self) -> None:
        known = {one.name for one in self.participants()}
        for fault in self.faults:
            who = getattr(fault, "who", None)
            if who is not None and first_name(who) not in known:
                raise BadSetup(f"{fault} names nobody; the participants are {', '.join(sorted(known))}")
            if isinstance(fault, Hang | Lie) and str(who).startswith(VALIDATOR):
                raise BadSetup(f"{fault}: a validator answers nobody; it may leave, return or be replaced")
            if isinstance(fault, ChainStops) and fault.blocks < 1:
                raise BadSetup(f"{fault} stops nothing; give it a block or more")
            if isinstance(fault, Lie):
                self.lying_code(fault.cheat)

    def lying_code(self, cheat: str) -> type[Miner[Any]]:
        """The code of a cheat, "" for the first free one; raises `BadSetup` where there is none."""
        free = [one.miner for one in self.all_cheats.values() if one.kind == "free"]
        named = self.all_cheats.get(cheat)
        if named is not None:
            return named.miner
        if cheat or not free:
            listed = ", ".join(self.all_cheats) or "none"
            raise BadSetup(f"there is no cheat {cheat or 'of kind free'!r} to lie with; there are: {listed}")
        return free[0]

    @property
    def block_seconds(self) -> float:
        """Simulated seconds between two blocks: a round ends within its block."""
        return max(BLOCK_SECONDS, self.subnet.Settings.model_validate(dict(self.settings)).deadline + 1)

    @property
    def all_cheats(self) -> Mapping[str, Cheat]:
        """Those that were named, else the subnet's."""
        return self.subnet.cheats if self.cheats is None else self.cheats

    def participants(self) -> tuple[Participant, ...]:
        """Everybody who is there from block 0, by uid."""
        validators = [
            self._made(f"{VALIDATOR}{number}", Kind.VALIDATOR, stake=stake * RAO)
            for number, stake in enumerate(self.validators, 1)
        ]
        honest = [
            self._made(f"honest-{number}", Kind.HONEST, code=self.subnet.miner)
            for number in range(1, self.honest + 1)
        ]
        cheats = [
            self._made(
                name,
                KINDS[cheat.kind],
                stake=RELAY_STAKE * RAO if cheat.kind == "relay" and self.subnet.binds_answers else 0,
                code=cheat.miner,
                model=cheat.model or "",
            )
            for name, cheat in self.all_cheats.items()
        ]
        return (*validators, *honest, *cheats)

    def successor(self, of: str, number: int) -> Participant:
        """Who takes a uid after ``of``; ``number`` counts the successors of the first who sat there."""
        return self._made(f"{first_name(of)}-successor-{number}", Kind.HONEST, code=self.subnet.miner)

    @property
    def coldkey(self) -> Keypair:
        """Owns all hotkeys."""
        return self._key("coldkey")

    def genesis(self) -> Genesis:
        """A chain on which everybody has a uid, with room for nobody else."""
        members = self.participants()
        owner = self.coldkey.ss58_address
        subnet = GenesisSubnet(
            name=self.subnet.name,
            hyperparameters=local_hyperparameters(self.tempo, max_allowed_uids=len(members)),
            neurons=tuple(
                GenesisNeuron(hotkey=one.hotkey, coldkey=owner, stake=one.stake) for one in members
            ),
        )
        return local_genesis(
            [subnet], name="lab", block_time=self.block_seconds, clock="manual", balances={owner: 1000 * RAO}
        )

    def secret(self, validator: str, epoch: int) -> bytes:
        """The epoch's secret of a validator, so that a run can be repeated."""
        return hashlib.sha256(f"ranvier-lab|{self.seed}|{validator}|{epoch}".encode()).digest()

    def _made(self, name: str, kind: Kind, **facts: Any) -> Participant:
        return Participant(name, kind, self._key(name), **facts)

    def _key(self, name: str) -> Keypair:
        from bittensor_core import Keypair as Sr25519

        seed = hashlib.sha256(f"ranvier-lab|{self.seed}|{name}".encode()).digest()
        return Sr25519.create_from_seed(seed)
