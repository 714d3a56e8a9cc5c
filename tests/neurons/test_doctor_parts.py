"""Parts of the doctor that no fault on this machine can show: versions, clocks, hangs, public networks, odd chains."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doctoring import free_port
from hypothesis import given
from hypothesis import strategies as st
from neurons_world import World

from ranvier.chain import Ability, CommitWeights, RevealWeights, Support, Wallet
from ranvier.neurons.config import MinerSettings, ValidatorSettings
from ranvier.neurons.doctor import address, check, examine, keys, membership, network
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.clock import EARLY, OLD, judge, travel
from ranvier.neurons.doctor.finding import Finding, ok
from ranvier.neurons.doctor.versions import Requirement, fits

PUBLIC = "http://1.2.3.4:9944"
NUMBERS = st.lists(st.integers(0, 30), min_size=1, max_size=4)


@given(NUMBERS, NUMBERS)
def test_versions_are_ordered_by_their_numbers(one: list[int], other: list[int]) -> None:
    left, right = (".".join(map(str, numbers)) for numbers in (one, other))
    padded = [tuple(numbers + [0] * (4 - len(numbers))) for numbers in (one, other)]
    assert fits(left, f">={right}") == (padded[0] >= padded[1])
    assert fits(f"{left}+cpu", f"<{right}") == (padded[0] < padded[1])
    assert fits(f"{left}.dev3", f"=={right}") == (padded[0] == padded[1])
    assert fits(left, f">={right},<{right}") is False


def test_requirements_are_read_as_metadata_spells_them() -> None:
    assert Requirement.read("aiohttp<4,>=3.14") == Requirement("aiohttp", "<4,>=3.14")
    assert Requirement.read('torch>=2.13; extra == "models"') == Requirement("torch", ">=2.13", "models")
    assert Requirement.read("a-b[c] >= 1 ; python_version > '3'") == Requirement("a-b", ">=1")
    assert Requirement("no-such-package").problem() == "no-such-package is missing"


@given(st.floats(-60, 60), st.sampled_from([0.25, 1.0, 12.0]), st.booleans())
def test_a_clock_fails_only_if_requests_would(lag: float, block_time: float, miner: bool) -> None:
    said = judge(lag, block_time, miner=miner).status
    early, old = (-lag, lag) if miner else (lag, -lag)
    slack = travel(block_time)
    if said == "fail":
        assert early > EARLY or old > OLD
    if -EARLY / 2 <= lag <= slack:
        assert said == "ok"
    if lag < (-EARLY if miner else -OLD) or lag - slack > (OLD if miner else EARLY):
        assert said == "fail"


def test_a_chain_of_another_time_says_nothing_about_the_clock() -> None:
    assert judge(3e7, 12.0, miner=True).status == "warn"


async def test_checks_that_hang_or_break_are_findings() -> None:
    released = threading.Event()
    waits = check.Check("waits", lambda: released.wait(30), seconds=0.05)
    (found,) = await check.carry_out(waits)
    released.set()
    assert (found.status, found.finding) == ("fail", "no result within 0.05 s")
    (found,) = await check.carry_out(check.Check("breaks", lambda: Path("/proc/self/mem").read_bytes()))
    assert "OSError" in found.finding
    (found,) = await check.carry_out(check.Check("sleeps", _sleep, seconds=0.05))
    assert found.status == "fail"


async def _sleep() -> Finding:
    await asyncio.sleep(30)
    return ok("sleeps", "")


async def test_a_plugin_that_hangs_costs_its_own_check_only(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hangs.py").write_text("import time; time.sleep(600)")
    monkeypatch.syspath_prepend(str(tmp_path))
    short = tuple(replace(one, seconds=4.0) if one.name == "plugin" else one for one in examine.NODE)
    monkeypatch.setattr(examine, "NODE", short)
    settings = ValidatorSettings(
        subnet="hangs:Thing", netuid=1, network=world.endpoint, wallet="owner", hotkey="v0",
        wallets=str(world.wallets), state=str(tmp_path),
    )  # fmt: skip
    found = {one.check: one for one in await examine.examine_node(settings)}
    assert [one.check for one in found.values() if one.status == "fail"] == ["plugin"]
    assert [one.check for one in found.values() if one.status == "skipped"] == ["engine"]
    assert found["block arrival"].status == "ok"


@pytest.mark.slow
def test_a_coldkey_on_a_public_network(tmp_path: Path) -> None:
    for password, status in (("correct horse", "warn"), (None, "fail")):
        case = _case(tmp_path)
        case.wallet = Wallet.create(str(status), "h", tmp_path, coldkey_password=password)
        found = keys.coldkey(case)
        assert (found.status, "move" in found.next_step or "keep" in found.next_step) == (status, True)
    case.wallet.coldkey_file.unlink()
    assert keys.coldkey(case).status == "ok"


async def test_a_private_address_on_a_public_network(tmp_path: Path) -> None:
    for advertise in ("127.0.0.1", "192.168.1.7", "fd00::1"):
        found = await address.reach(_case(tmp_path, advertise=advertise, port=free_port()))
        assert found.status == "fail"
        assert "cannot be reached from the internet" in found.finding


async def test_a_probe_from_here_is_no_probe_from_the_internet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public address, our own listener: what a miner on a machine with an address of its own sees."""
    seen = iter(
        [address.Seen(address.Who.NOBODY, "refused"), address.Seen(address.Who.DOCTOR, "")]
        + 2 * [address.Seen(address.Who.NOBODY, "timed out")]
    )

    async def probe(*_: Any) -> address.Seen:
        return next(seen)

    monkeypatch.setattr(address, "probe", probe)
    case = _case(tmp_path, advertise="9.9.9.9", port=free_port())
    found = await address.reach(case)
    assert (found.status, "seen from this machine only" in found.finding) == ("ok", True)
    found = await address.reach(case)
    assert (found.status, "another network" in found.next_step) == ("warn", True)


class Metadata:
    """A chain that offers some calls."""

    def __init__(self, **abilities: Ability) -> None:
        self._abilities = abilities

    async def supports(self, kind: type) -> Support:
        return Support(self._abilities.get(kind.__name__, Ability.IMPOSSIBLE), f"Chain.{kind.__name__}")


async def test_calls_that_a_chain_offers_in_another_way_or_not(world: World, tmp_path: Path) -> None:
    case = Case(ValidatorSettings(subnet="text", netuid=1, state=str(tmp_path)))
    async with world.chain() as chain:
        open_ones = await chain.hyperparameters(1)
    hidden = open_ones.model_copy(update={"commit_reveal": True})
    hashed = {kind.__name__: Ability.WORKS for kind in (CommitWeights, RevealWeights)}
    for rules, abilities, status, words in (
        (open_ones, {"SetWeights": Ability.FALLBACK}, "ok", "fall-back: Chain.SetWeights"),
        (open_ones, {}, "fail", "Chain.SetWeights"),
        (hidden, {"CommitTimelocked": Ability.WORKS}, "ok", "works: Chain.CommitTimelocked"),
        (hidden, hashed, "ok", "fall-back: Chain.CommitWeights and Chain.RevealWeights"),
        (hidden, {"CommitWeights": Ability.WORKS}, "fail", "Chain.CommitTimelocked"),
    ):
        case.chain, case.hyperparameters = Metadata(**abilities), rules
        (found,) = await membership.calls(case)
        assert (found.status, words in found.finding) == (status, True)


def _case(folder: Path, **settings: Any) -> Case:
    return Case(MinerSettings(subnet="text", netuid=1, network=PUBLIC, state=str(folder), **settings))


@pytest.mark.subtensor
@pytest.mark.parametrize("year", ["", "2025"])
async def test_a_subtensor_node(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: str
) -> None:
    """The same examination through the SDK; an older node takes the weights by an older call."""
    pytest.importorskip("bittensor")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "chain" / "contract"))
    monkeypatch.setenv("HOME", str(tmp_path))
    from local_substrate import OLDER, LocalSubstrate

    from ranvier.chain.local import LocalChain
    from ranvier.chain.subtensor import SubtensorChain

    def opener() -> Any:
        return LocalSubstrate(LocalChain(world.endpoint), OLDER if year else frozenset())

    node = SubtensorChain("ws://127.0.0.1:1", opener=opener, deadline=10.0)
    monkeypatch.setattr(network, "connect", lambda _: node)
    settings = ValidatorSettings(
        subnet="sums:SumSubnet", netuid=1, network="ws://127.0.0.1:1", wallet="owner", hotkey="v0",
        wallets=str(world.wallets), state=str(tmp_path / "nodes"),
    )  # fmt: skip
    found = {one.check: one for one in await examine.examine_node(settings)}
    # A node of one's own may serve a public network, where a coldkey is worth money.
    assert "not encrypted" in found["coldkey"].finding
    assert found.pop("coldkey").status == "fail"
    assert {one.status for one in found.values()} == {"ok"}, found
    preferred, older = (
        "works: SubtensorModule.set_mechanism_weights",
        "fall-back: SubtensorModule.set_weights",
    )
    assert found["call SetWeights"].finding == (older if year else preferred)
