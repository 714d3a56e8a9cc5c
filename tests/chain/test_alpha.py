"""Alpha of subnets in examples: what a trade gives, what a block issues, who is paid, how subnets begin and end."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from bittensor_core import encode_ss58
from pydantic import ValidationError

from ranvier.chain.birth import first_state
from ranvier.chain.calls import (
    AddStake,
    Call,
    CreateSubnet,
    DissolveSubnet,
    MoveStake,
    Register,
    RemoveStake,
    SetWeights,
)
from ranvier.chain.checkpoint import Checkpoint
from ranvier.chain.explorer_views import account, subnet_detail
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.market import Market
from ranvier.chain.models import Epoch, EpochRow
from ranvier.chain.network import NetworkParameters
from ranvier.chain.policies import known_shares, moving_prices
from ranvier.chain.pool import Waiting
from ranvier.chain.presets import local_hyperparameters, local_network, preset_genesis
from ranvier.chain.pulse import Pulse
from ranvier.chain.quotes import quote
from ranvier.chain.records import decode, encode, names, state_hash
from ranvier.chain.rules import rules_of
from ranvier.chain.runtime import next_block
from ranvier.chain.state import TAO_WEIGHT, ChainState
from ranvier.chain.views import metagraph, subnets
from ranvier.neurons.economics import economics

TAO = 10**9
OWNER, MINER, STAKER, RICH = (str(encode_ss58(bytes([n]) * 32, 42)) for n in range(1, 5))
VALI, WORK, OWN = (str(encode_ss58(bytes([100 + n]) * 32, 42)) for n in range(3))
SETTINGS = local_hyperparameters(tempo=5, weights_rate_limit=0)


def genesis(**network: Any) -> Genesis:
    """A validator with 1000 TAO on root, a miner, a neuron of the owner's; a pool of 100 TAO, and a second subnet."""
    given = {"alpha": True, "min_stake": 2_000_000, "subnet_limit": 2, "subnet_immunity": 0, **network}
    neurons = (
        GenesisNeuron(hotkey=VALI, coldkey=STAKER, stake=1000 * TAO),
        GenesisNeuron(hotkey=WORK, coldkey=MINER),
        GenesisNeuron(hotkey=OWN, coldkey=OWNER),
    )
    return Genesis(
        era="y2",
        clock="manual",
        network=local_network(**given),
        new_subnet=SETTINGS,
        balances={RICH: 10_000 * TAO, OWNER: 1000 * TAO},
        subnets=(
            GenesisSubnet(name="a", hyperparameters=SETTINGS, neurons=neurons, owner=OWNER, pool=100 * TAO),
            GenesisSubnet(name="b", hyperparameters=SETTINGS, pool=50 * TAO),
        ),
    )


def block(state: ChainState, born: Genesis, *calls: tuple[str, Call]) -> list[str | None]:
    number = state.head.number
    waiting = [
        Waiting(f"0x{number:032x}{i:032x}", who, number + 9, call) for i, (who, call) in enumerate(calls)
    ]
    return [outcome.error for outcome in next_block(state, born, 1.0, waiting).outcomes]


def market(state: ChainState, netuid: int = 1) -> Market:
    found = state.subnets[netuid].market
    assert found is not None
    return found


def test_a_trade_gives_what_the_product_says_rounded_for_the_pool() -> None:
    born = genesis()
    state, twin = first_state(born), first_state(born)
    block(twin, born)  # as the pool stands before the block's calls
    tao, alpha = twin.ledger.pools[1], market(twin).reserve
    got = alpha + -(tao * alpha) // (tao + 7 * TAO)
    assert block(state, born, (RICH, AddStake(VALI, 7 * TAO, 1))) == [None]
    assert market(state).stake_of(VALI, RICH) == got
    assert state.ledger.balance(RICH) == 9993 * TAO
    both = (RICH, AddStake(VALI, 7 * TAO, 1)), (RICH, RemoveStake(VALI, got, 1))
    twin = first_state(born)
    assert block(twin, born, *both) == [None, None]
    assert market(twin).stake_of(VALI, RICH) == 0
    assert 10_000 * TAO - 9 < twin.ledger.balance(RICH) <= 10_000 * TAO


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (AddStake(VALI, 1_999_999, 1), "AmountTooLow"),
        (AddStake(VALI, TAO, 9), "SubNetworkDoesNotExist"),
        (AddStake(VALI, 10_000 * TAO, 1), "NotEnoughBalanceToStake"),
        (RemoveStake(VALI, 1, 1), "NotEnoughStakeToWithdraw"),
        (RemoveStake(VALI, 0, 1), "StakeToWithdrawIsZero"),
        (MoveStake(VALI, VALI, 1, 1, 1), "NotEnoughStakeToWithdraw"),
        (MoveStake(VALI, VALI, 1, 0, 2), "NotEnoughStakeToWithdraw"),
    ],
)
def test_a_trade_that_cannot_be_is_refused(call: Call, name: str) -> None:
    born = genesis()
    assert block(first_state(born), born, (RICH, call)) == [name]


def test_a_trade_beyond_its_limit_price_is_refused_whole() -> None:
    born = genesis()
    state = first_state(born)
    twin = first_state(born)
    assert block(twin, born, (RICH, AddStake(VALI, 7 * TAO, 1))) == [None]
    after, reserve = twin.ledger.pools[1] * TAO, market(twin).reserve
    above = -(-after // reserve)
    assert block(state, born, (RICH, AddStake(VALI, 7 * TAO, 1, above - 1))) == ["SlippageTooHigh"]
    assert state.ledger.balance(RICH) == 10_000 * TAO
    state = first_state(born)
    assert block(state, born, (RICH, AddStake(VALI, 7 * TAO, 1, above))) == [None]
    held = market(state).stake_of(VALI, RICH)
    assert block(state, born, (RICH, RemoveStake(VALI, held, 1, 2 * TAO))) == ["SlippageTooHigh"]
    assert block(state, born, (RICH, RemoveStake(VALI, held, 1, TAO // 2))) == [None]
    assert block(state, born, (RICH, AddStake(VALI, TAO, 0, TAO))) == ["ValueNotInBounds"]


@pytest.mark.parametrize(("place", "to"), [(0, 1), (1, 0), (1, 2)])
def test_a_move_beyond_its_limit_ratio_is_refused_whole(place: int, to: int) -> None:
    """The limit is the ratio of the prices after both trades, to the last of its 1e-9; quotes say the same."""
    born = genesis()
    start = first_state(born)
    block(start, born, (STAKER, MoveStake(VALI, VALI, 30 * TAO, 0, 1)))
    amount = 5 * TAO
    move = MoveStake(VALI, WORK, amount, place, to)
    free = copy.deepcopy(start)
    assert block(free, born, (STAKER, move)) == [None]
    sold, bought = (
        Fraction(1) if netuid == 0 else Fraction(free.ledger.pools[netuid], market(free, netuid).reserve)
        for netuid in (place, to)
    )
    limit = math.floor(sold / bought * TAO)
    tight = copy.deepcopy(start)
    assert block(tight, born, (STAKER, replace(move, limit_price=limit + 1))) == ["SlippageTooHigh"]
    still = copy.deepcopy(start)
    block(still, born)
    assert state_hash(tight) != state_hash(free)
    assert encode(tight, names(tight)) == {**encode(still, names(still)), **head_of(tight)}
    assert block(copy.deepcopy(start), born, (STAKER, replace(move, limit_price=limit))) == [None]
    # What an explorer tells gives the same numbers beforehand.
    markets = [subnet_detail(still, rules_of("y2"), n).market if n else None for n in (place, to)]
    told = quote(markets[0], markets[1], amount)
    held = free.ledger.stake_of(WORK, STAKER) if to == 0 else market(free, to).stake_of(WORK, STAKER)
    assert told.got == held
    ratio = sold / bought
    assert told.after == pytest.approx(float(1 / ratio if place == 0 else ratio))
    assert min(told.before, told.after) < told.fill < max(told.before, told.after)
    assert 0.01 < told.slippage < 0.5


def head_of(state: ChainState) -> dict[str, str | None]:
    """Records that another block's hash alone changes."""
    return encode(state, [name for name in names(state) if name.startswith(("head", "recent"))])


@pytest.mark.parametrize(("place", "to"), [(0, 0), (1, 1)])
def test_where_nothing_is_traded_a_limit_is_a_mistake(place: int, to: int) -> None:
    born = genesis()
    state = first_state(born)
    block(state, born, (STAKER, MoveStake(VALI, VALI, 30 * TAO, 0, 1)))
    move = MoveStake(VALI, WORK, TAO, place, to, TAO)
    assert block(state, born, (STAKER, move)) == ["ValueNotInBounds"]
    assert block(state, born, (STAKER, replace(move, limit_price=None))) == [None]


def test_a_pool_without_liquidity_refuses() -> None:
    born = Genesis.model_validate({**genesis(emission="root").model_dump(), "subnets": [{"name": "dry"}]})
    state = first_state(born)
    state.subnets[1].share = 0
    state.ledger.own(VALI, STAKER)
    assert block(state, born, (RICH, AddStake(VALI, TAO, 1))) == ["InsufficientLiquidity"]


def test_stake_is_swapped_between_subnets_and_root_without_a_balance() -> None:
    born = genesis()
    state = first_state(born)
    before = state.ledger.staked(VALI)
    assert block(state, born, (STAKER, MoveStake(VALI, WORK, 10 * TAO, 0, 1))) == [None]
    assert state.ledger.staked(VALI) == before - 10 * TAO
    alpha = market(state).stake_of(WORK, STAKER)
    assert alpha > 9 * TAO
    assert block(state, born, (STAKER, MoveStake(WORK, WORK, alpha, 1, 2))) == [None]
    assert market(state).stake_of(WORK, STAKER) == 0
    other = market(state, 2).stake_of(WORK, STAKER)
    assert block(state, born, (STAKER, MoveStake(WORK, VALI, other, 2, 2))) == [None]
    assert market(state, 2).stake_of(VALI, STAKER) == other
    assert block(state, born, (STAKER, MoveStake(VALI, VALI, other, 2, 0))) == [None]
    assert state.ledger.staked(VALI) > before - TAO
    assert state.ledger.balance(STAKER) == 0


def test_an_epoch_pays_owner_miner_and_both_kinds_of_stake() -> None:
    """18 % to the owner, half of the rest to the miner, the other to alpha and, sold for TAO, to root."""
    born = genesis()
    state = first_state(born)
    block(state, born, (RICH, AddStake(VALI, 20 * TAO, 1)), (VALI, SetWeights(1, (1,), (1,))))
    root, mined = state.ledger.staked(VALI), market(state).stake_of(WORK, MINER)
    for _ in range(20):
        block(state, born)
    assert mined == 0
    assert market(state).stake_of(OWNER, OWNER) == 21 * (TAO * ((11796 << 32) // 65535) >> 32)
    # Four epochs, of which the first may still lack the weights; what the last gave may be on its way.
    assert 3 * 5 * 41 * TAO // 100 - 9 <= market(state).stake_of(WORK, MINER) <= 21 * 41 * TAO // 100
    assert state.ledger.staked(VALI) > root + TAO // 10
    assert market(state).stake_of(VALI, STAKER) > 0  # its take of nominators' alpha
    assert market(state).issued == market(state).total()


def test_the_owners_own_miners_earn_nothing() -> None:
    born = genesis()
    state = first_state(born)
    block(state, born, (VALI, SetWeights(1, (2,), (1,))))
    for _ in range(15):
        block(state, born)
    assert state.subnets[1].slots[2].incentive == 65535
    assert market(state).stake_of(OWN, OWNER) == 0


@pytest.mark.parametrize(
    ("weights", "part"), [((1, 3), Fraction(3, 4)), ((1, 0), Fraction(0)), ((0, 1), Fraction(1))]
)
def test_what_an_owner_withholds_from_miners_lowers_the_subnets_share(
    weights: tuple[int, int], part: Fraction
) -> None:
    """By price less the part of the last epoch that was the owner's own; where that leaves nobody any, by price."""
    born = genesis(emission="price")
    state = first_state(born)
    block(state, born, (VALI, SetWeights(1, (1, 2), weights)))
    for _ in range(15):
        block(state, born)
    shares, prices = known_shares(state), moving_prices(state)
    assert market(state).withheld == pytest.approx(part * 2**32, rel=1e-4)
    assert shares[1] == pytest.approx(prices[1] * (1 - part), rel=1e-4)
    assert shares[2] == prices[2]
    twin = copy.deepcopy(state)
    block(twin, born)  # Nobody works on the other subnet: its pool only gets.
    given = twin.ledger.pools[2] - state.ledger.pools[2]
    assert given == pytest.approx(TAO * shares[2] // sum(shares.values()), abs=2)
    state.subnets[2].hyperparameters = state.subnets[2].hyperparameters.model_copy(
        update={"registration_allowed": False}
    )
    state.network.parameters = state.network.parameters.model_copy(update={"emission_when_closed": False})
    assert (known_shares(state)[1] == prices[1]) is (part in (0, 1))


def test_the_history_says_what_was_paid_and_what_was_not() -> None:
    """The owner's own miner has incentive and no emission; what it would have got is told apart, to the rao."""
    born = genesis()
    state = first_state(born)
    block(state, born, (VALI, SetWeights(1, (1, 2), (1, 3))))
    rows: tuple[EpochRow, ...] = ()
    for number in range(15):
        for record in next_block(state, born, 1.0, []).epochs:
            rows = record.rows if record.netuid == 1 and number > 5 else rows
        if rows:
            break
    vali, work, own = rows
    assert own.incentive > work.incentive > 0
    assert own.server_emission == vali.burned == work.burned == 0
    assert own.burned == pytest.approx(3 * work.server_emission, rel=1e-3)
    assert own.burned == state.subnets[1].slots[2].emission
    (paid,) = [payment for payment in state.subnets[1].loaded if payment.hotkey == WORK]
    assert paid.server == work.server_emission
    graph, info = metagraph(state, 1), subnets(state)[0]
    at_twice = economics(
        info, graph, [Epoch(state.head.number, rows)], [], block_time=12, immunity=0, alpha_price=2.0
    )
    assert at_twice.miners_income == at_twice.mean_miner == work.server_emission
    assert (at_twice.miners, at_twice.mean_miner_tao) == (1, 2 * work.server_emission)
    assert at_twice.break_even_hours == pytest.approx(info.burn / at_twice.mean_miner_tao * at_twice.hours)


def test_root_counts_by_its_weight() -> None:
    born = genesis()
    state = first_state(born)
    assert state.stake_on(state.subnets[1], VALI) == 1000 * TAO * TAO_WEIGHT >> 64
    block(state, born, (RICH, AddStake(VALI, 20 * TAO, 1)))
    alpha = market(state).staked(VALI)
    assert state.stake_on(state.subnets[1], VALI) == alpha + (1000 * TAO * TAO_WEIGHT >> 64)
    assert state.stake_on(state.subnets[2], VALI) == 1000 * TAO * TAO_WEIGHT >> 64


def test_liquidity_is_capped_at_roots_part_and_the_rest_buys() -> None:
    born = genesis(emission="fixed")
    state = first_state(born)
    issued, reserve = market(state, 2).issued, market(state, 2).reserve
    weighted = 1000 * TAO * TAO_WEIGHT >> 64
    block(state, born)
    cap = min(TAO // 2, TAO * weighted // (weighted + issued))
    assert state.ledger.pools[2] == 50 * TAO + TAO // 2
    assert market(state, 2).reserve <= reserve + cap
    assert (
        market(state, 2).issued == market(state, 2).reserve
    )  # nobody owns it or works on it: none is staked yet


def test_a_registration_buys_alpha_that_is_no_more() -> None:
    born = genesis()
    state, twin = first_state(born), first_state(born)
    new = str(encode_ss58(bytes([9]) * 32, 42))
    assert block(state, born, (RICH, Register(2, new))) == [None]
    block(twin, born)
    paid = 10_000 * TAO - state.ledger.balance(RICH)
    assert paid > 0
    assert state.ledger.pools[2] == twin.ledger.pools[2] + paid
    assert state.ledger.issuance == twin.ledger.issuance
    assert market(state, 2).issued < market(twin, 2).issued


def test_a_new_subnet_turns_its_cost_into_a_pool_and_takes_the_place_of_the_cheapest() -> None:
    born = genesis()
    state = first_state(born)
    block(state, born, (RICH, AddStake(VALI, 20 * TAO, 2)), (RICH, AddStake(VALI, 40 * TAO, 1)))
    market(state, 1).moving_price //= 2
    new = str(encode_ss58(bytes([9]) * 32, 42))
    before, sold = state.ledger.balance(RICH), state.ledger.pools[1]
    assert block(state, born, (RICH, CreateSubnet(new, "c"))) == [None]
    assert state.subnets[1].name == "c"
    assert state.ledger.pools[1] == market(state).reserve == 100 * TAO
    assert market(state).moving_price == 0
    assert not state.ledger.locks
    # RICH held most of the alpha that was staked there: most of the pool's TAO came back.
    assert before - 100 * TAO + sold // 2 < state.ledger.balance(RICH) < before - 100 * TAO + sold + TAO
    assert block(state, born, (RICH, DissolveSubnet(1))) == [None]
    assert state.ledger.total() == state.ledger.issuance


def test_policies_by_price_and_by_flow() -> None:
    by_price, by_flow = genesis(emission="price"), genesis(emission="flow", average_half_life=1)
    state = first_state(by_price)
    assert known_shares(state) == {1: 1 << 64, 2: 1 << 64}
    market(state, 2).moving_price //= 4
    block(state, by_price)
    grown = [state.ledger.pools[n] - tao * TAO for n, tao in ((1, 100), (2, 50))]
    assert grown == [TAO // 5 * 4, TAO // 5]
    state = first_state(by_flow)
    assert known_shares(state) == {1: 10**6, 2: 10**6}  # nothing flows yet
    block(state, by_flow, (RICH, AddStake(VALI, 5 * TAO, 1)), (RICH, AddStake(VALI, 5 * TAO, 2)))
    block(state, by_flow, (RICH, RemoveStake(VALI, market(state, 2).stake_of(VALI, RICH), 2)))
    block(state, by_flow)
    block(state, by_flow)
    shares = known_shares(state)
    assert shares[1] > 0
    assert shares[2] == 0


def test_an_explorer_sees_pools_prices_and_who_holds_alpha() -> None:
    born = genesis()
    state = first_state(born)
    block(state, born, (RICH, AddStake(VALI, 20 * TAO, 1)))
    detail = subnet_detail(state, rules_of("y2"), 1).market
    assert detail is not None
    assert (detail.tao, detail.reserve) == (state.ledger.pools[1], market(state).reserve)
    assert detail.price == pytest.approx(detail.tao / detail.reserve)
    assert 1 < detail.price < 2
    held = account(state, RICH).alpha
    assert [(one.netuid, one.hotkey, one.alpha) for one in held] == [(1, VALI, market(state).staked(VALI))]
    assert 20 * TAO - 9 <= held[0].worth <= 20 * TAO
    assert metagraph(state, 1).neurons[0].stake == state.stake_on(state.subnets[1], VALI)


def test_alpha_is_kept_in_checkpoints() -> None:
    born = genesis()
    state = first_state(born)
    block(state, born, (RICH, AddStake(VALI, 20 * TAO, 1)))
    written = Checkpoint.of(state, born, Pulse(bytes(32)))
    restored = decode(written.records, born.existential_deposit)
    assert state_hash(restored) == written.state_hash
    for _ in range(8):
        block(state, born)
        block(restored, born)
    assert state_hash(restored) == state_hash(state)


def test_what_needs_alpha_says_so() -> None:
    with pytest.raises(ValidationError, match="set alpha"):
        NetworkParameters(emission="price")
    with pytest.raises(ValidationError, match="rules of 2026"):
        Genesis(network=NetworkParameters(alpha=True))
    with pytest.raises(ValidationError, match="has no alpha"):
        Genesis(era="y2", subnets=(GenesisSubnet(name="a", pool=1),))


def test_the_preset_of_2026_has_alpha() -> None:
    assert preset_genesis("2026").network.alpha
    fair = preset_genesis("2026", fair_launch=True)
    state = first_state(fair)
    for _ in range(30):
        block(state, fair)
    assert fair.issuance() == 0
    assert state.ledger.issuance == state.ledger.pools[1] == 30 * TAO
