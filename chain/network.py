"""What holds for the whole chain: settings that only its root may change, and what they are counted from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Rao = Annotated[int, Field(ge=0, le=21 * 10**15)]
U16 = Annotated[int, Field(ge=0, le=65535)]
Blocks = Annotated[int, Field(ge=0, le=2**32)]
EmissionPolicy = Literal["fixed", "root", "proportional", "price", "flow"]
LONGEST_TEMPO: Final = 65535
TEMPO_PAUSE: Final = 360
"""Blocks between two changes of a tempo by its subnet's owner (2026)."""
DAY: Final = 7200
"""Blocks of twelve seconds in a day."""


class Step(BaseModel):
    """From `block` on there may be `subnets` subnets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    block: Blocks
    subnets: U16


class NetworkParameters(BaseModel):
    """The defaults are those of the 2024 runtime; `presets` has those of the article, of 2026, and of local chains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    emission: EmissionPolicy = Field(
        default="fixed",
        description="how emission is divided between subnets: by their own shares, by root weights through the "
        "sigmoid of 2024, by root weights proportionally, or with alpha by its moving price or the TAO that flows in",
    )
    alpha: bool = Field(
        default=False, description="subnets have alpha of their own with a pool; never changes on a chain"
    )
    average_half_life: Blocks = Field(
        default=30 * DAY, description="blocks after which the moving price and flow of alpha forget one half"
    )
    min_take: U16 = Field(default=5898, description="least take of a delegate, of 65535")
    max_take: U16 = Field(default=11796, description="most that a delegate may take, of 65535")
    default_take: U16 = Field(default=11796, description="take of who never said one, of 65535")
    take_interval: Blocks = Field(default=30 * DAY, description="blocks between two raises of a take")
    delegate_interval: Blocks = Field(default=1000, description="blocks between two changes as a delegate")
    stake_interval: Blocks = Field(default=360, description="blocks between stakings of one pair of keys")
    min_stake: Rao = Field(default=0, description="rao that one who is not the owner must have on a hotkey")
    max_children: int = Field(default=5, ge=0, le=5, description="hotkeys that one may hand its stake to")
    children_interval: Blocks = Field(default=150, description="blocks between two choices of children")
    children_delay: Blocks = Field(default=DAY, description="blocks until a choice of children counts")
    subnet_limit: U16 = Field(default=12, description="most subnets at a time")
    subnet_limits: tuple[Step, ...] = Field(default=(), description="a limit that grows, by block")
    subnet_immunity: Blocks = Field(default=7 * DAY, description="blocks a new subnet is not removed")
    start_delay: Blocks = Field(
        default=0, description="blocks from a subnet's founding until its owner may start it (y2)"
    )
    emission_when_closed: bool = Field(
        default=True, description="whether a subnet that takes no registrations has a part of emission"
    )
    subnet_interval: Blocks = Field(
        default=DAY, description="blocks between two creations of subnets, whoever creates them"
    )
    lock_minimum: Rao = Field(default=1000 * 10**9, description="rao to lock for a subnet, at least")
    lock_interval: int = Field(
        default=14 * DAY, ge=1, description="blocks in which a lock's cost falls by itself"
    )
    owner_interval: Blocks = Field(default=0, description="blocks between two settings of one hyperparameter")
    owner_tempos: U16 = Field(default=0, description="the same in tempos of the subnet; the longer one holds")
    version_key_tempos: U16 = Field(default=0, description="the same for weights_version_key")
    freeze_window: Blocks = Field(
        default=0, description="blocks before an epoch in which an owner changes nothing (y2)"
    )
    commit_reveal_version: Literal[2, 4] = Field(
        default=2,
        description="how hidden weights come to light: 2 by their senders, 4 by the chain as well (locked rows)",
    )
    equal_start: bool = Field(
        default=False, description="neurons of a subnet on which nobody has stake yet count alike"
    )
    root_seats: int = Field(default=64, ge=1, le=4096, description="validators of the root network")
    root_tempo: U16 = Field(
        default=100, description="blocks between two divisions of emission by root weights"
    )
    root_kappa: U16 = Field(
        default=32767, description="where the sigmoid of root consensus has its middle, of 65535"
    )
    root_rho: U16 = Field(default=10, description="how steep that sigmoid is")
    root_weights_interval: Blocks = Field(
        default=100, description="blocks between two settings of root weights"
    )
    senate_seats: int = Field(default=12, ge=1, le=64, description="root validators who vote on motions")
    motion_life: Blocks = Field(default=DAY // 2, description="blocks that a motion is open")
    most_motions: int = Field(default=10, ge=1, le=100, description="motions open at a time")

    @model_validator(mode="after")
    def _consistent(self) -> NetworkParameters:
        if self.emission in ("price", "flow") and not self.alpha:
            raise ValueError(f"emission by {self.emission} needs alpha; set alpha, or divide by root")
        return self

    def limit_at(self, block: int) -> int:
        """Most subnets in this block."""
        reached = [step.subnets for step in self.subnet_limits if step.block <= block]
        return max([self.subnet_limit, *reached])


@dataclass
class NetworkState:
    """`last_lock` is the rao that the newest subnet cost, `founded_at` its block (None: none was ever created).

    `given_away` is the rao that the faucet made.
    `paces` is the block of the last action of a kind by a key, for what is limited in pace.
    """

    parameters: NetworkParameters
    last_lock: int
    founded_at: int | None = None
    given_away: int = 0
    paces: dict[tuple[str, str], int] = field(default_factory=dict)

    def until_next_subnet(self, block: int) -> int:
        """Blocks until anybody may found a subnet; 0: now."""
        return (
            0
            if self.founded_at is None
            else max(0, self.founded_at + self.parameters.subnet_interval - block)
        )

    def waits(self, kind: str, key: str, block: int, interval: int) -> int:
        """Blocks until the next action of that kind by that key; 0: now."""
        last = self.paces.get((kind, key))
        return 0 if last is None else max(0, last + interval - block)

    def owner_pause(self, name: str, tempo: int) -> int:
        """Blocks between two settings of one hyperparameter by the owner of a subnet with this tempo."""
        given = self.parameters
        if name == "tempo":
            return TEMPO_PAUSE
        tempos = given.version_key_tempos if name == "weights_version_key" else given.owner_tempos
        return max(given.owner_interval, tempos * tempo)

    def over(self, block: int, least: int) -> list[tuple[str, str]]:
        """Which `paces` hold nobody up any more, whatever they are of; `least` is the shortest time that one counts."""
        given = self.parameters
        intervals = (
            given.take_interval,
            given.delegate_interval,
            given.children_interval,
            given.owner_interval,
            given.stake_interval,
            # A tempo may grow while one waits; no tempo is longer.
            *(self.owner_pause(name, LONGEST_TEMPO) for name in ("tempo", "weights_version_key", "kappa")),
        )
        longest = max(*intervals, least)
        return [pace for pace, last in self.paces.items() if last + longest <= block]
