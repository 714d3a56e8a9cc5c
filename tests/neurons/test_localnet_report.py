"""The verdict of a localnet: what counts as shown, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.neurons.localnet.cast import Kind, cast
from ranvier.neurons.localnet.observe import distance
from ranvier.neurons.localnet.report import MinerRow, SubnetReport, ValidatorRow
from ranvier.subnets import load_subnet

HONEST = 1_000_000


def report(*, slow: int = HONEST, dealer: int = 0, **cheats: int) -> SubnetReport:
    kinds = {"relay": Kind.RELAY, "free": Kind.FREE, "cheaper": Kind.CHEAPER, "pet": Kind.PET}
    miners = [MinerRow(name="h1", hotkey="a", kind=Kind.HONEST, uid=1, earned=HONEST)]
    miners.append(MinerRow(name="h2", hotkey="b", kind=Kind.SLOW, uid=2, earned=slow))
    for name, earned in cheats.items():
        miners.append(MinerRow(name=name, hotkey=name, kind=kinds[name], uid=3, earned=earned))
    judges = [ValidatorRow(name="v1", hotkey="v", kind=Kind.VALIDATOR, uid=0, stake=100, earned=1000)]
    judges.append(ValidatorRow(name="d", hotkey="d", kind=Kind.SELF_DEALER, uid=9, stake=100, earned=dealer))
    return SubnetReport(name="s", netuid=1, epochs=5, miners=tuple(miners), validators=tuple(judges))


def test_a_sound_network_passes() -> None:
    assert report(relay=0, free=20_000, cheaper=200_000, pet=0, dealer=499).failures() == ()


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"slow": 0}, "honest and earned nothing"),
        ({"relay": 20_001}, "relay"),
        ({"free": 20_001}, "free"),
        ({"cheaper": 200_001}, "cheaper"),
        ({"pet": 20_001}, "pet"),
        ({"dealer": 500}, "per stake"),
        ({"slow": 100_000, "cheaper": 20_001}, "cheaper"),
    ],
)
def test_each_margin_is_kept(facts: dict[str, int], word: str) -> None:
    assert word in " ".join(report(**facts).failures())


@given(
    st.dictionaries(st.integers(0, 7), st.integers(0, 65535)),
    st.lists(st.integers(0, 65535), min_size=8, max_size=8),
)
def test_distance_is_a_share(row: dict[int, int], consensus: list[int]) -> None:
    found = distance(row, consensus)
    if found is not None:
        assert 0 <= found <= 1 + 1e-9
    if sum(consensus):
        assert distance(dict(enumerate(consensus)), consensus) == pytest.approx(0)


@pytest.mark.parametrize("name", ["text", "sentiment", "image", "puzzle"])
def test_every_subnet_has_the_whole_cast(name: str) -> None:
    members = cast(load_subnet(name))
    kinds = [member.kind for member in members]
    assert kinds.count(Kind.VALIDATOR) == 3
    assert kinds.count(Kind.SELF_DEALER) == 1
    assert sum(kind.is_honest_miner for kind in kinds) == 2
    assert {Kind.RELAY, Kind.FREE, Kind.CHEAPER, Kind.PET} <= set(kinds)
    stakes = [member.stake for member in members if member.kind.validates]
    assert len(set(stakes)) == 4, "stakes are unequal"
    assert max(stakes) < sum(stakes) / 2, "nobody holds a majority"
    dealer = next(member.stake for member in members if member.kind is Kind.SELF_DEALER)
    assert dealer < 0.4 * sum(stakes)
