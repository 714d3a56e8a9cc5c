"""The settings of one subnet, under the chain's own names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

U16 = Annotated[int, Field(ge=0, le=65535)]
U64 = Annotated[int, Field(ge=0, le=2**64 - 1)]
Blocks = Annotated[int, Field(ge=0, le=2**32)]


class Hyperparameters(BaseModel):
    """Settings of a subnet; the defaults are those a new subnet got from the 2024 runtime."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tempo: U16 = Field(default=360, description="blocks between epochs; 0: no epoch ever")
    kappa: U16 = Field(default=32767, description="share of stake that makes a consensus, of 65535")
    max_allowed_uids: int = Field(default=256, ge=1, le=4096, description="slots for neurons")
    max_allowed_validators: int = Field(default=64, ge=0, le=4096, description="most neurons with a permit")
    min_allowed_weights: U16 = Field(default=1, description="fewest entries of a weight row")
    max_weight_limit: U16 = Field(default=65535, description="most of a row's sum in one entry, of 65535")
    immunity_period: Blocks = Field(default=5000, description="blocks a new neuron is not pruned")
    activity_cutoff: Blocks = Field(default=5000, description="blocks without weights until inactive (2024)")
    activity_cutoff_factor: int = Field(
        default=13_889, ge=1000, le=50_000, description="the same (y2), in thousandths of the tempo"
    )
    min_non_immune_uids: U16 = Field(
        default=10, description="neurons past immunity that stay when another gives way (y2)"
    )
    immune_owner_uids_limit: int = Field(
        default=1, ge=1, le=10, description="hotkeys of the owner that never give way (y2)"
    )
    weights_rate_limit: Blocks = Field(default=100, description="blocks between two settings of weights")
    weights_version_key: U64 = Field(default=0, description="lowest version key accepted; 0: any")
    weights_min_stake: U64 = Field(default=0, description="rao of stake needed to set weights")
    commit_reveal: bool = Field(default=False, description="weights are committed first, shown later")
    reveal_period: int = Field(
        default=1, ge=1, le=100, description="epochs from a commitment to its revelation"
    )
    serving_rate_limit: Blocks = Field(default=50, description="blocks between two servings of an axon")
    adjustment_interval: Blocks = Field(default=360, description="blocks between price adjustments (2024)")
    adjustment_alpha: U64 = Field(default=17893341751498265066, description="price inertia, of 2**64 (2024)")
    target_regs_per_interval: int = Field(
        default=1, ge=1, le=65535, description="registrations the price is made for"
    )
    max_regs_per_block: U16 = Field(
        default=1, description="registrations one block may hold; y2: before one by work"
    )
    registration_allowed: bool = Field(default=True, description="whether anybody may register")
    burn: U64 = Field(default=1_000_000_000, description="first price of a registration, rao")
    min_burn: U64 = Field(default=1, description="lowest price, rao")
    max_burn: U64 = Field(default=100_000_000_000, description="highest price, rao")
    work_allowed: bool = Field(default=False, description="whether places are given for work")
    difficulty: U64 = Field(default=10_000_000, description="difficulty of that work; 2024: the first one")
    min_difficulty: U64 = Field(default=10_000_000, description="lowest difficulty")
    max_difficulty: U64 = Field(default=2**62, description="highest difficulty")
    burn_half_life: Blocks = Field(default=360, description="blocks in which the price halves (y2)")
    burn_increase_percent: int = Field(default=126, ge=100, le=1000, description="price after a sale (y2), %")
    bonds_moving_average: int = Field(default=900_000, ge=0, le=1_000_000, description="inertia, millionths")
    bonds_penalty: U16 = Field(default=65535, description="how far clipped weight loses bonds (y2)")
    bonds_reset: bool = Field(default=False, description="a neuron may give up all bonds to it (y2)")
    yuma3: bool = Field(default=True, description="bonds by weight alone, stake at the dividends (y2)")
    liquid_alpha: bool = Field(
        default=False, description="bonds move between two speeds; y2: under yuma3 only"
    )
    alpha_low: U16 = Field(default=45875, description="slowest part of a bond renewed per epoch, of 65535")
    alpha_high: U16 = Field(default=58982, description="fastest part of a bond renewed per epoch, of 65535")
    alpha_sigmoid_steepness: int = Field(
        default=1000, ge=0, le=32767, description="how sharply speeds part (y2), hundredths"
    )
    subnet_owner_cut: U16 = Field(default=11796, description="the owner's part of emission, of 65535")

    @model_validator(mode="after")
    def _consistent(self) -> Hyperparameters:
        if self.alpha_low > self.alpha_high:
            raise ValueError(
                f"alpha_low {self.alpha_low} is above alpha_high {self.alpha_high}; lower the one or raise the other"
            )
        return self
