"""Each role's commands against a real chain process: each does what is theirs, the rest is refused with a reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ranvier.chain import Genesis, Wallet, local_network, preset_genesis
from ranvier.neurons.cli import app
from ranvier.neurons.cli.tables import show
from ranvier.neurons.errors import ConfigError
from ranvier.neurons.exits import ExitCode, explain


@dataclass
class Desk:
    """A chain, wallets, and a way to type."""

    network: str
    wallets: Path

    def say(self, *words: str, wallet: str = "", code: int = ExitCode.OK) -> str:
        """Type a command; its output, or the message of the error that has this code."""
        arguments = [*words, "--network", self.network]
        if wallet:
            arguments += ["--wallet", wallet, "--wallets", str(self.wallets)]
        done = CliRunner().invoke(app, arguments)
        if done.exception is None or isinstance(done.exception, SystemExit):
            assert done.exit_code == code, done.output
            return done.output
        found, message = explain(done.exception)
        assert found == code, message
        return message

    def json(self, *words: str, wallet: str = "") -> Any:
        return json.loads(self.say(*words, "--json", wallet=wallet))

    def hotkey(self, wallet: str) -> str:
        return Wallet(wallet, "default", self.wallets).hotkey_address()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    for name in ("owner", "miner", "staker", "member"):
        Wallet.create_plain(name, "default", folder / "wallets")
    member = Wallet("member", "default", folder / "wallets").coldkey_address()
    genesis: Genesis = preset_genesis("local", committee=(member,), block_time=0.1)
    easy = genesis.new_subnet.model_copy(
        update={"difficulty": 16, "min_difficulty": 16, "work_allowed": True}
    )
    with served(genesis.model_copy(update={"new_subnet": easy}), folder) as found:
        yield found


@pytest.fixture(scope="module")
def alpha_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A chain whose subnets have alpha."""
    folder = tmp_path_factory.mktemp("alpha")
    Wallet.create_plain("owner", "default", folder / "wallets")
    genesis = preset_genesis("local", era="y2", block_time=0.1, network=local_network(alpha=True))
    with served(genesis, folder) as found:
        yield found


@contextmanager
def served(genesis: Genesis, folder: Path) -> Iterator[Desk]:
    genesis.write(folder / "genesis.json")
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "ranvier.neurons.cli",
                "chain",
                "--genesis",
                str(folder / "genesis.json"),
            ),
            *("--state", str(folder / "chain"), "--port", "0"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.match(r"chain at (http://\S+)", process.stdout.readline())
    assert found is not None
    yield Desk(found[1], folder / "wallets")
    process.terminate()
    process.communicate(timeout=20)


def test_alpha_is_bought_moved_and_sold_by_commands(alpha_desk: Desk) -> None:
    desk = alpha_desk
    desk.say("faucet", wallet="owner")
    desk.say("subnets", "create", "mine", "--yes", wallet="owner")
    early = desk.say("stake", "add", "50", "--netuid", "1", wallet="owner", code=ExitCode.CHAIN_REFUSED)
    assert "SubtokenDisabled" in early
    desk.say("subnets", "start", "1", wallet="owner")
    said = " ".join(desk.say("stake", "add", "50", "--netuid", "1", wallet="owner").split())
    found = re.match(
        r"expected: (\S+) alpha of subnet 1 for 50.0000 TAO, at (\S+) TAO; the price goes from (\S+) to (\S+), slippage"
        r" (\S+)% AddStake was carried out in block \d+: (\S+) alpha of subnet 1$",
        said,
    )
    assert found is not None, said
    wanted, fill, before, after, slippage, got = map(float, found.groups())
    assert before < fill < after
    assert slippage == pytest.approx(100 * (fill / before - 1), abs=0.02)
    assert got == pytest.approx(wanted, rel=0.05)  # a few blocks have moved the pool meanwhile
    held = {row["netuid"]: row for row in desk.json("stake", "list", wallet="owner")}
    assert held[1]["stake"] > 30  # beside it lies what the owner is paid
    assert held[1]["worth"] > 40
    message = desk.say(
        *("stake", "add", "5", "--netuid", "1", "--limit-price", "0.1"),
        wallet="owner",
        code=ExitCode.CHAIN_REFUSED,
    )
    assert "SlippageTooHigh" in message
    move = ("stake", "move", "10", "--to", "default", "--from-netuid", "1")
    message = desk.say(*move, "--limit-price", "90", wallet="owner", code=ExitCode.CHAIN_REFUSED)
    assert "SlippageTooHigh" in message
    moved = desk.json(*move, "--limit-price", "0.1", wallet="owner")
    assert moved["got"] == pytest.approx(moved["expected"]["got"], rel=0.05)
    assert moved["expected"]["after"] < moved["expected"]["fill"] < moved["expected"]["before"]
    held = {row["netuid"]: row for row in desk.json("stake", "list", wallet="owner")}
    assert held[0]["stake"] > 10
    desk.say("stake", "remove", "5", "--netuid", "1", "--limit-price", "0.5", wallet="owner")
    assert desk.say("stake", "add", "1", wallet="owner").startswith(
        "AddStake was carried out"
    )  # TAO: no trade
    own = Wallet("owner", "default", desk.wallets).coldkey_address()
    said = desk.say("account", own)
    assert re.search(r"alpha of subnet 1: \S+, \S+ TAO at the pool's price, \S+ TAO if sold now", said)
    assert "free, staked and alpha at its price" in said
    found = desk.json("account", own)
    assert found["history"][-1]["alpha_value"] == pytest.approx(found["alpha"][0]["value"], rel=0.5)
    row = {row["netuid"]: row for row in desk.json("stake", "list", wallet="owner")}[1]
    assert row["worth"] < row["value"]
    unknown = desk.say("stake", "add", "5", "--netuid", "9", wallet="owner", code=ExitCode.CHAIN_REFUSED)
    assert "SubNetworkDoesNotExist" in unknown
    closed = desk.say("register", "1", "--work", wallet="owner", code=ExitCode.CHAIN_REFUSED)
    assert "before any was done" in closed
    (delegate,) = desk.json("delegate", "list")
    assert delegate["alpha"].startswith("1:")
    assert delegate["alpha_value"] > delegate["stake"] == delegate["own"] > 0
    said = " ".join(desk.say("delegate", "list").split())
    assert "alpha_value is alpha at the pools' prices" in said
    (one,) = desk.json("subnets", "economics")
    assert one["alpha_price"] == pytest.approx(row["value"] / row["stake"], rel=0.5)
    assert one["points"][-1]["alpha_price"] > 0
    said = desk.say("subnets", "economics", "1")
    assert "in TAO and alpha (a)" in said


def test_a_life_by_commands(desk: Desk) -> None:
    for name in ("owner", "staker"):
        desk.say("faucet", wallet=name)
    # The owner founds a subnet and sets what is an owner's to set.
    said = desk.say("subnets", "create", "mine", "--yes", wallet="owner")
    assert re.match(r"CreateSubnet was carried out in block \d+\n  subnet 1 for 100\.0000 TAO\n$", said)
    (subnet,) = desk.json("subnets", "list")
    assert (subnet["netuid"], subnet["name"], subnet["emission_share"]) == (1, "mine", 1.0)
    desk.say("subnets", "set", "1", "max_burn", "2000000000", wallet="owner")
    rows = {row["name"]: row for row in desk.json("subnets", "hyperparameters", "1")}
    assert rows["max_burn"]["value"] == "2000000000"
    assert (rows["kappa"]["owner_may"], rows["tempo"]["owner_may"]) == ("0 to 65535", "")
    # A miner joins by work, without a rao; the staker buys a place, and is a delegate on root.
    desk.say("register", "1", "--work", wallet="miner")
    assert "\n  uid 1 for " in desk.say("register", "1", wallet="staker")
    desk.say("stake", "add", "500", wallet="staker")
    desk.say("root", "register", wallet="staker")
    desk.say("root", "weights", "1=1", wallet="staker")
    (seat,) = desk.json("root", "show")
    assert (seat["hotkey"], seat["weights"]) == (desk.hotkey("staker"), "1:1.00")
    desk.say("delegate", "take", "9%", wallet="staker")
    first = desk.json("delegate", "list")[0]
    assert (first["hotkey"], round(first["take"], 3), first["subnets"]) == (desk.hotkey("staker"), 0.09, "1")
    # A user nominates, pays, moves and takes back.
    desk.say("stake", "add", "10", "--hotkey", desk.hotkey("staker"), wallet="owner")
    assert desk.json("stake", "list", wallet="owner")[0]["stake"] >= 10
    desk.say("transfer", Wallet("miner", "default", desk.wallets).coldkey_address(), "1.5", wallet="owner")
    miner = desk.json("account", Wallet("miner", "default", desk.wallets).coldkey_address())
    assert miner["free"] == 1_500_000_000
    assert miner["history"][-1]["free"] == 1_500_000_000
    desk.say("stake", "remove", "2.25", "--hotkey", desk.hotkey("staker"), wallet="owner")
    # The committee proposes, the senate votes.
    misspelt = desk.say("senate", "propose", "subnet", "1", "temp", "7", wallet="member", code=ExitCode.USAGE)
    assert "did you mean 'tempo'?" in " ".join(misspelt.split())
    said = desk.say("senate", "propose", "subnet", "1", "tempo", "7", wallet="member")
    assert "  motion 0, open to block " in said
    (motion,) = desk.json("senate", "show")
    assert motion["action"] == "Propose netuid=1 name=tempo value=7".replace("Propose", "SetHyperparameter")
    desk.say("senate", "vote", "0", "--for", wallet="staker")
    said = desk.say("senate", "close", "0", wallet="member")
    assert "  motion 0 was carried: 1 for, 0 against\n  SetHyperparameter was carried out\n" in said
    assert {row["name"]: row["value"] for row in desk.json("subnets", "hyperparameters", "1")}["tempo"] == "7"
    # What it came to.
    (one,) = desk.json("subnets", "economics")
    assert one["registrations"] == 2
    assert one["price"] > 0
    assert one["points"][-1]["neurons"] == 2
    assert "blocks" in desk.say("subnets", "economics", "1")
    assert [row["event"] for row in desk.json("events", "--since", "0", "--name", "NetworkAdded")] == [
        "NetworkAdded"
    ]
    assert len(desk.json("blocks", "--count", "3")) == 3


@pytest.mark.parametrize(
    ("words", "wallet", "parts"),
    [
        (("subnets", "set", "1", "kappa", "1"), "miner", ("NotSubnetOwner", "owns the subnet")),
        (("subnets", "dissolve", "1"), "miner", ("NotSubnetOwner",)),
        (("subnets", "set", "1", "tempo", "9"), "owner", ("BadOrigin", "only the chain's root")),
        (("senate", "propose", "network", "max_take", "1"), "owner", ("NotMember", "committee")),
        (("senate", "vote", "5"), "staker", ("ProposalMissing", "open motion")),
        (("root", "weights", "9=1"), "staker", ("UidVecContainInvalidOne",)),
        (("delegate", "become", "9%"), "staker", ("HotKeyAlreadyDelegate", "nothing to do")),
        (("stake", "remove", "99999"), "staker", ("NotEnoughStakeToWithdraw",)),
        (("register", "1"), "member", ("NotEnoughBalanceToStake", "move TAO")),
        (
            ("stake", "children", "1", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty=100%"),
            "owner",
            ("block",),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_what_is_not_theirs_is_refused_with_cause_and_next_step(
    desk: Desk, words: tuple[str, ...], wallet: str, parts: tuple[str, ...]
) -> None:
    code = ExitCode.OK if parts == ("block",) else ExitCode.CHAIN_REFUSED
    message = desk.say(*words, wallet=wallet, code=code)
    for part in parts:
        assert part in message


def test_bad_words_are_told_before_anything_is_sent(desk: Desk) -> None:
    assert "no amount of TAO" in desk.say("stake", "add", "much", wallet="owner", code=ExitCode.USAGE)
    assert "at most 9" in desk.say("stake", "add", "0.0000000001", wallet="owner", code=ExitCode.USAGE)
    assert "18% or 0.18" in desk.say("delegate", "become", "a lot", wallet="owner", code=ExitCode.USAGE)
    assert "NETUID=WEIGHT" in desk.say("root", "weights", "one", wallet="owner", code=ExitCode.USAGE)
    assert "network, subnet or dissolve" in desk.say(
        "senate", "propose", "war", "x", wallet="member", code=ExitCode.USAGE
    )
    assert "no subnet 77" in desk.say("subnets", "economics", "77", code=ExitCode.CHAIN_REFUSED)


@pytest.mark.parametrize(
    "words",
    [
        "stake add 1e30",
        "stake add 1e9999999",
        "transfer 5Foo 21000001",
        "stake child-take 1 nan",
        "stake child-take 1 1e9999999%",
        "stake child-take 70000 5%",
        "stake children 70000",
        "register 70000",
        "subnets dissolve 70000",
        "subnets economics 70000",
        "subnets set 1 kappa 18446744073709551616",
        "senate vote 99999999999999999999",
        "root weights 1=1 70000=1",
        "root weights 1=1 1=2",
        f"subnets create --yes {'x' * 65}",
    ],
)
def test_what_no_chain_takes_is_bad_usage(desk: Desk, words: str) -> None:
    said = desk.say(*words.split(), code=ExitCode.USAGE)
    assert "Invalid value" in said, said


def test_names_on_a_chain_are_text_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever founds a subnet names it; whoever lists it must see the name, not do what it says."""
    show(("name",), [("[/nobody] [red]\x1b[2J",)], as_json=False, title="subnet [/x]")
    shown = capsys.readouterr().out
    assert "[/nobody] [red]\N{REPLACEMENT CHARACTER}[2J" in shown
    assert "subnet [/x]" in shown


WIDE = ("hotkey", "stake", "emission_share", "break_even_h", "meaning")
ROW = (
    "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
    12345.5,
    0.25,
    7.0,
    "some words that may be broken",
)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_no_number_is_broken_however_narrow_the_terminal_is(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table where it fits, else each row as a paragraph; addresses whole where there is room for them."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    show(WIDE, [ROW, ROW], as_json=False, title="some subnets")
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert all(len(line) <= width for line in said.splitlines())
    for word in ("12345.5000", "0.2500", "7.0000", "emission_share", "broken"):
        assert word in said
    assert ("5FHneW…94ty" in said) == (width < 160)
    assert (ROW[0] in said) == (width >= 160)
    assert ("│" in said) == (width >= 80)


def test_without_a_terminal_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show(WIDE, [ROW], as_json=False)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "5FHneW" in line]
    assert all(str(word) in line for word in (ROW[0], "12345.5000", ROW[-1]))


def test_a_chain_is_written_checkpointed_restored_and_replayed_by_command(desk: Desk, tmp_path: Path) -> None:
    def typed(*words: str) -> Any:
        done = CliRunner().invoke(app, ["chain", *words])
        assert done.exit_code == 0, done.output
        return done.output

    file, member = tmp_path / "mine.json", desk.hotkey("member")
    typed("genesis", str(file), "--preset", "article", "--fair-launch", "--committee", member)
    written = Genesis.read(file)
    assert written == preset_genesis("article", fair_launch=True, committee=(member,))
    again = CliRunner().invoke(app, ["chain", "genesis", str(file)])
    assert isinstance(again.exception, ConfigError), "what somebody may have changed is not written over"
    saved, folder = tmp_path / "now.json", str(tmp_path / "copy")
    made = json.loads(typed("checkpoint", str(saved), "--network", desk.network, "--json"))
    held = json.loads(typed("restore", str(saved), "--state", folder, "--json"))
    assert (held["block"], held["state_hash"]) == (made["block"], made["state_hash"])
    assert held["lost_rows"] == []
    old, twin = str(desk.wallets.parent / "chain"), str(tmp_path / "twin")
    typed("restore", str(saved), "--state", twin, "--keys-from", old)
    wrong = CliRunner().invoke(
        app, ["chain", "restore", str(saved), "--state", str(tmp_path / "other"), "--keys-from", folder]
    )
    assert "of another chain" in explain(wrong.exception)[1]
    replayed = json.loads(typed("replay", "--state", folder, "--json"))
    assert (replayed["last"], replayed["state_hash"]) == (made["block"], made["state_hash"])
