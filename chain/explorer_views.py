"""The state as an explorer sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ranvier.chain.alpha import of, quote_sale
from ranvier.chain.calls import encode_call
from ranvier.chain.emission import block_emission
from ranvier.chain.errors import NotFound
from ranvier.chain.explorer import (
    Account,
    AlphaHolding,
    Delegate,
    DelegateAlpha,
    Holding,
    MarketInfo,
    NetworkInfo,
    OpenMotion,
    RootSeat,
    SubnetDetail,
    SubnetPoint,
)
from ranvier.chain.governance import senate
from ranvier.chain.history import alpha_of
from ranvier.chain.market import FLOW_BITS, PRICE_BITS, price
from ranvier.chain.policies import known_shares
from ranvier.chain.rules import Rules
from ranvier.chain.state import ChainState, SubnetState
from ranvier.chain.subnet_life import lock_now
from ranvier.chain.supply import room
from ranvier.chain.views import subnet_of


def network(state: ChainState) -> NetworkInfo:
    """The whole chain."""
    parameters, following = state.network.parameters, state.head.number + 1
    motions = tuple(
        OpenMotion(
            one.number,
            one.proposer,
            encode_call(one.action).decode(),
            one.ends,
            tuple(one.ayes),
            tuple(one.nays),
        )
        for one in state.governance.motions.values()
    )
    return NetworkInfo(
        block=state.head.number,
        issuance=state.ledger.issuance,
        given_away=state.network.given_away,
        block_emission=min(block_emission(state.ledger.issuance), room(state)),
        lock_cost=lock_now(state.network, following),
        subnets=len(state.subnets),
        subnet_limit=parameters.limit_at(following),
        parameters=parameters,
        committee=state.governance.committee,
        senate=senate(state.root.seats, state.ledger.staked, parameters.senate_seats),
        motions=motions,
    )


def root(state: ChainState) -> tuple[RootSeat, ...]:
    """Root's seats by uid."""
    ledger = state.ledger
    return tuple(
        RootSeat(
            uid,
            seat.hotkey,
            ledger.owners[seat.hotkey],
            ledger.staked(seat.hotkey),
            seat.joined_at,
            seat.last_update,
            dict(sorted(seat.weights.items())),
        )
        for uid, seat in enumerate(state.root.seats)
    )


def delegates(state: ChainState, rules: Rules) -> tuple[Delegate, ...]:
    """All hotkeys that others may stake to, the one with most stake first: of TAO, and alpha at the pools' prices."""
    places, markets = dict[str, list[int]](), dict[str, list[SubnetState]]()
    for netuid, subnet in sorted(state.subnets.items()):
        for hotkey in subnet.uids:
            places.setdefault(hotkey, []).append(netuid)
        for hotkey in subnet.market.stakes if subnet.market is not None else ():
            markets.setdefault(hotkey, []).append(subnet)
    found = list[Delegate]()
    for hotkey, owner in state.ledger.owners.items():
        take = rules.take(state, hotkey)
        if take is not None:
            netuids, traded = places.get(hotkey, ()), markets.get(hotkey, ())
            found.append(_delegate(state, hotkey, owner, take, netuids, traded))
    return tuple(sorted(found, key=lambda one: (-one.stake - one.alpha_value, one.hotkey)))


def _delegate(
    state: ChainState,
    hotkey: str,
    owner: str,
    take: int,
    netuids: Sequence[int],
    traded: Sequence[SubnetState],
) -> Delegate:
    """`traded` are the subnets of which the hotkey has alpha."""
    held, alpha = state.ledger.stakes.get(hotkey, {}), list[DelegateAlpha]()
    holders = {coldkey for coldkey, amount in held.items() if amount}
    for subnet in traded:
        by = of(subnet).stakes[hotkey]
        holders |= by.keys()
        total = sum(by.values())
        alpha.append(DelegateAlpha(subnet.netuid, total, by.get(owner, 0), _value(state, subnet, total)))
    return Delegate(
        hotkey=hotkey,
        owner=owner,
        take=take,
        stake=sum(held.values()),
        own=held.get(owner, 0),
        nominators=len(holders - {owner}),
        netuids=tuple(netuids),
        alpha=tuple(alpha),
        alpha_value=sum(one.value for one in alpha),
    )


def account(state: ChainState, coldkey: str) -> Account:
    """What a coldkey has now."""
    ledger = state.ledger
    stakes = tuple(
        Holding(hotkey, held[coldkey])
        for hotkey, held in sorted(ledger.stakes.items())
        if held.get(coldkey, 0)
    )
    alpha = tuple(
        AlphaHolding(
            netuid,
            hotkey,
            held[coldkey],
            _value(state, subnet, held[coldkey]),
            quote_sale(state, subnet, held[coldkey]),
        )
        for netuid, subnet in sorted(state.subnets.items())
        if subnet.market is not None
        for hotkey, held in sorted(subnet.market.stakes.items())
        if coldkey in held
    )
    owned = tuple(netuid for netuid, subnet in sorted(state.subnets.items()) if subnet.owner == coldkey)
    return Account(
        coldkey,
        ledger.balance(coldkey),
        stakes,
        tuple(sorted(hotkey for hotkey, owner in ledger.owners.items() if owner == coldkey)),
        owned,
        sum(ledger.locks.get(netuid, 0) for netuid in owned),
        alpha,
    )


def subnet_detail(state: ChainState, rules: Rules, netuid: int) -> SubnetDetail:
    """What `SubnetInfo` leaves out. Raises `NotFound`."""
    subnet = subnet_of(state, netuid)
    return SubnetDetail(
        netuid,
        subnet.difficulty,
        subnet.hyperparameters.work_allowed,
        subnet.recycled,
        state.ledger.locks.get(netuid, 0),
        subnet.created_at + state.network.parameters.subnet_immunity,
        subnet.pending,
        rules.next_epoch(subnet, state.head.number + 1),
        _market(state, subnet),
        subnet.starts_at,
        subnet.created_at + state.network.parameters.start_delay,
    )


def alpha_price(state: ChainState, subnet: SubnetState) -> float | None:
    """TAO for one alpha; None where there is none."""
    if subnet.market is None:
        return None
    fixed = price(state.ledger.pools.get(subnet.netuid, 0), subnet.market.reserve)
    return float(fixed / 2**PRICE_BITS)


def traded_prices(state: ChainState, records: Iterable[str]) -> dict[int, float]:
    """The prices of all alpha where a stake of any is among the changed `records`, to be kept; else none."""
    parts = (name.partition("/") for name in records)
    if not any(kind == "subnet" and alpha_of(rest) is not None for kind, _, rest in parts):
        return {}
    prices = {netuid: alpha_price(state, subnet) for netuid, subnet in sorted(state.subnets.items())}
    return {netuid: value for netuid, value in prices.items() if value is not None}


def _value(state: ChainState, subnet: SubnetState, alpha: int) -> int:
    """Rao of TAO at the pool's price."""
    assert subnet.market is not None
    return alpha * price(state.ledger.pools.get(subnet.netuid, 0), subnet.market.reserve) >> PRICE_BITS


def _market(state: ChainState, subnet: SubnetState) -> MarketInfo | None:
    market, tao = subnet.market, state.ledger.pools.get(subnet.netuid, 0)
    if market is None:
        return None
    return MarketInfo(
        price=price(tao, market.reserve) / 2**PRICE_BITS,
        moving_price=market.moving_price / 2**PRICE_BITS,
        tao=tao,
        reserve=market.reserve,
        issued=market.issued,
        flow=market.moving_flow / 2**FLOW_BITS,
    )


def point(state: ChainState, netuid: int, block: int) -> SubnetPoint:
    """A subnet as it stands, to be kept. Raises `NotFound`."""
    if netuid not in state.subnets:
        raise NotFound(f"there is no subnet {netuid}")
    shares, subnet = known_shares(state), state.subnets[netuid]
    total = sum(shares.values())
    return SubnetPoint(
        block,
        subnet.burn,
        subnet.difficulty,
        subnet.recycled,
        shares.get(netuid, 0) / total if total else 0.0,
        len(subnet.slots),
        alpha_price(state, subnet),
    )
