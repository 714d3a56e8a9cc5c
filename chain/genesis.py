"""The first state of a chain: rules, clock, subnets, neurons, stakes and balances, as a JSON file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ranvier.chain.addresses import canonical
from ranvier.chain.emission import RAO_SUPPLY
from ranvier.chain.errors import BadGenesis
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.liquid import ALPHA_LIMITS, refuse_alphas
from ranvier.chain.network import NetworkParameters

Rao = Annotated[int, Field(ge=0, le=RAO_SUPPLY)]


Address = Annotated[str, AfterValidator(canonical)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GenesisNeuron(_Part):
    """A neuron that is there from block 0, in uid order; `stake` is rao its coldkey staked to the hotkey.

    It counts as registered at block 0, has its permit from the start, and no rate limit on its first weights.
    """

    hotkey: Address
    coldkey: Address
    stake: Rao = 0


class GenesisSubnet(_Part):
    """A subnet that is there from block 0. netuids are 1, 2, ... in the order of the list.

    `emission_share` is relative to those of the other subnets; `owner` is a coldkey, None for nobody (the
    owner's cut is then paid to the neurons).
    """

    name: str = Field(min_length=1, max_length=64)
    hyperparameters: Hyperparameters = Hyperparameters()
    emission_share: float = Field(default=1.0, ge=0, le=1e6)
    owner: Address | None = None
    neurons: tuple[GenesisNeuron, ...] = ()
    pool: Rao = Field(
        default=0, description="rao in the subnet's pool, with as much alpha beside it; on chains with alpha"
    )

    @model_validator(mode="after")
    def _consistent(self) -> GenesisSubnet:
        if len(self.neurons) > self.hyperparameters.max_allowed_uids:
            raise ValueError(
                f"{len(self.neurons)} neurons in {self.hyperparameters.max_allowed_uids} slots; raise max_allowed_uids"
            )
        if len({neuron.hotkey for neuron in self.neurons}) != len(self.neurons):
            raise ValueError("a hotkey is listed twice; a hotkey has one uid on a subnet")
        return self


class Genesis(_Part):
    """Everything that decides a chain's history, apart from the calls it receives.

    `era` names the rules ("2024", or "y2" for those of 2026), `block_time` the seconds between blocks of the
    wall clock; under the manual clock blocks come only when asked for, and their timestamps are
    `block_time` apart. `started_at` is the timestamp of block 0, seconds since 1970. `history` is how many
    blocks back events and epochs can be asked for; blocks and their calls are kept.
    """

    name: str = Field(default="local", min_length=1, max_length=64)
    era: Literal["2024", "y2"] = "2024"
    block_time: float = Field(default=12.0, ge=0.05, le=3600)
    clock: Literal["wall", "manual"] = "wall"
    started_at: float = Field(default=1_700_000_000.0, ge=0)
    allow_loopback: bool = False
    network: NetworkParameters = NetworkParameters()
    committee: tuple[Address, ...] = Field(
        default=(), max_length=12, description="coldkeys that may propose motions"
    )
    new_subnet: Hyperparameters = Field(
        default=Hyperparameters(), description="settings of a subnet that is created later"
    )
    faucet: Rao = Field(default=0, description="rao that a coldkey is given when it asks; 0: no faucet")
    existential_deposit: int = Field(
        default=500, ge=0, description="least rao a balance keeps or starts with"
    )
    history: int = Field(default=100_000, ge=100)
    balances: dict[Address, Rao] = {}
    subnets: tuple[GenesisSubnet, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Genesis:
        if self.issuance() > RAO_SUPPLY:
            raise ValueError(f"balances and stakes add up to {self.issuance()} rao, more than will ever be")
        if not self.network.alpha and any(subnet.pool for subnet in self.subnets):
            raise ValueError("a subnet has a pool, but the network has no alpha: set network.alpha")
        if self.network.alpha and self.era != "y2":
            raise ValueError('alpha belongs to the rules of 2026: set era to "y2"')
        owners: dict[str, str] = {}
        for neuron in (neuron for subnet in self.subnets for neuron in subnet.neurons):
            if owners.setdefault(neuron.hotkey, neuron.coldkey) != neuron.coldkey:
                raise ValueError(f"hotkey {neuron.hotkey} has two coldkeys; a hotkey has one owner")
        for subnet in self.subnets:
            settings = subnet.hyperparameters
            refusal = refuse_alphas(self.era, settings.alpha_low, settings.alpha_high)
            if settings.liquid_alpha and refusal:
                raise ValueError(
                    f"{refusal}: subnet {subnet.name} asks for liquid alpha between {settings.alpha_low} and "
                    f"{settings.alpha_high}; {ALPHA_LIMITS[self.era]}"
                )
        return self

    def issuance(self) -> int:
        """Rao that exist at block 0."""
        staked = sum(neuron.stake for subnet in self.subnets for neuron in subnet.neurons)
        return sum(self.balances.values()) + staked + sum(subnet.pool for subnet in self.subnets)

    def hash(self) -> str:
        """0x and 64 hex digits that name the chain: two chains with equal genesis have equal names."""
        return "0x" + hashlib.sha256(b"ranvier-genesis/1\n" + self.model_dump_json().encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the JSON file."""
        path.write_text(self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Genesis:
        """Read the JSON file. Raises `BadGenesis` naming the file and the first thing wrong in it."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise BadGenesis(
                f"cannot read the genesis {path}: {error.strerror}; name an existing file"
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise BadGenesis(f"the genesis {path} is wrong at {place}: {first['msg']}") from error
