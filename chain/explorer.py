"""What an explorer draws: the network, its root, accounts and subnets over time. Rao and u16 ratios, as everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from ranvier.chain.network import NetworkParameters


@dataclass(frozen=True, slots=True)
class OpenMotion:
    """A motion that is voted on until block `ends`; `action` is the call that it would carry out, as JSON."""

    number: int
    proposer: str
    action: str
    ends: int
    ayes: tuple[str, ...]
    nays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """The whole chain at `block`. `lock_cost` is what a subnet costs now, `given_away` what the faucet made."""

    block: int
    issuance: int
    given_away: int
    block_emission: int
    lock_cost: int
    subnets: int
    subnet_limit: int
    parameters: NetworkParameters
    committee: tuple[str, ...]
    senate: tuple[str, ...]
    motions: tuple[OpenMotion, ...]


@dataclass(frozen=True, slots=True)
class RootSeat:
    """A validator of the root network; `weights` are u16 by netuid."""

    uid: int
    hotkey: str
    coldkey: str
    stake: int
    joined_at: int
    last_update: int
    weights: dict[int, int]


@dataclass(frozen=True, slots=True)
class DelegateAlpha:
    """Alpha of one subnet on a hotkey, of which `own` is its owner's; `value` is in rao at the pool's price."""

    netuid: int
    alpha: int
    own: int
    value: int


@dataclass(frozen=True, slots=True)
class Delegate:
    """A hotkey that others may stake to; `own` is the part of its stake that is its owner's. Both are rao of TAO.

    `alpha` is what lies on it on subnets with alpha, `alpha_value` the rao of all that at the pools' prices;
    `nominators` counts coldkeys with stake of either kind, its owner's not.
    """

    hotkey: str
    owner: str
    take: int
    stake: int
    own: int
    nominators: int
    netuids: tuple[int, ...]
    alpha: tuple[DelegateAlpha, ...] = ()
    alpha_value: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """Stake of a coldkey on a hotkey."""

    hotkey: str
    rao: int


@dataclass(frozen=True, slots=True)
class AlphaHolding:
    """Alpha that a coldkey has on a hotkey (1e9 to one alpha), and two answers to how much TAO that is.

    `value` is in rao at the pool's price, `worth` the rao that the pool would give for all of it now.
    """

    netuid: int
    hotkey: str
    alpha: int
    value: int
    worth: int


@dataclass(frozen=True, slots=True)
class Account:
    """What a coldkey has: free rao, stakes, hotkeys of its own, subnets that it owns and what is locked for them.

    `alpha` is its stake on subnets, on chains that have alpha.
    """

    coldkey: str
    free: int
    stakes: tuple[Holding, ...]
    hotkeys: tuple[str, ...]
    subnets: tuple[int, ...]
    locked: int
    alpha: tuple[AlphaHolding, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountPoint:
    """An account after a block that changed it: free rao, and all its stake of TAO.

    `alpha` is its stake on subnets with alpha, by netuid (1e9 to one alpha); `alpha_value` the rao of TAO that all of
    that was worth at the pools' prices then, before what selling it would do to them.
    """

    block: int
    free: int
    staked: int
    alpha: dict[int, int] = field(default_factory=dict)
    alpha_value: int = 0


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """A subnet's alpha: prices in TAO, the pool's rao of TAO and of alpha, and all alpha that there is.

    `flow` is the rao of TAO that stakers put in per block on average, negative where they take out.
    """

    price: float
    moving_price: float
    tao: int
    reserve: int
    issued: int
    flow: float


@dataclass(frozen=True, slots=True)
class SubnetDetail:
    """Beside `SubnetInfo`: what a place costs by work, what registrations burned so far, what is locked.

    `starts_at` is the first block with emission; None: its owner has to start it, from `may_start_at` on.
    `immune_until` is the first block in which the subnet may be replaced, `pending` the rao of its next epoch: of
    TAO, or of alpha where there is a `market`.
    """

    netuid: int
    difficulty: int
    work_allowed: bool
    recycled: int
    lock: int
    immune_until: int
    pending: int
    next_epoch: int | None
    market: MarketInfo | None = None
    starts_at: int | None = 0
    may_start_at: int = 0


@dataclass(frozen=True, slots=True)
class SubnetPoint:
    """A subnet after a block with a registration or an epoch; `share` is its part of emission in [0, 1].

    `alpha_price` is TAO for one alpha, where there is any.
    """

    block: int
    burn: int
    difficulty: int
    recycled: int
    share: float
    neurons: int
    alpha_price: float | None = None
