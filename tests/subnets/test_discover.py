"""Finding plugins: by entry point, by class, with a hint for typing errors, and never at another plugin's cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ranvier.subnets import BrokenPlugin, UnknownSubnet, load_miner, load_subnet, names
from ranvier.subnets.text import TextMiner, TextSubnet


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a made-up distribution: files by path, entry points as text."""

    def install(entry_points: str, **modules: str) -> None:
        folder = tmp_path / "made_up-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entry_points)
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_built_in_subnets_are_found() -> None:
    assert {"text", "sentiment", "image", "puzzle"} <= set(names())
    assert load_subnet("text") is TextSubnet


def test_a_class_is_found_by_reference() -> None:
    assert load_subnet("ranvier.subnets.text:TextSubnet") is TextSubnet
    assert load_miner("ranvier.subnets.text.miner:TextMiner") is TextMiner


def test_a_typing_error_gets_a_hint() -> None:
    with pytest.raises(UnknownSubnet, match="Did you mean 'sentiment'") as caught:
        load_subnet("sentimant")
    assert "text" in caught.value.known
    assert "package.module:Class" in str(caught.value)


def test_a_plugin_of_another_package_is_found(installed) -> None:
    installed(
        "[ranvier.subnets]\nmine = made_up_mine:Mine\n[ranvier.miners]\nmine = made_up_mine:Better\n",
        made_up_mine="from ranvier.subnets.text import TextMiner, TextSubnet\n"
        "class Mine(TextSubnet):\n    name = 'mine'\nclass Better(TextMiner):\n    pass\n",
    )
    assert load_subnet("mine").name == "mine"
    assert issubclass(load_miner("mine"), TextMiner)


def test_a_broken_plugin_says_why_and_breaks_no_other(installed) -> None:
    installed(
        "[ranvier.subnets]\nbroken = made_up_broken:Subnet\ngone = made_up_missing:Subnet\n",
        made_up_broken="raise RuntimeError('no licence')",
    )
    assert {"broken", "gone", "text"} <= set(names())
    assert load_subnet("text") is TextSubnet
    with pytest.raises(BrokenPlugin, match="no licence"):
        load_subnet("broken")
    with pytest.raises(BrokenPlugin, match="made_up_missing"):
        load_subnet("gone")


@pytest.mark.parametrize(
    "reference",
    [
        "ranvier.subnets.text:Nothing",
        "ranvier.nothing:TextSubnet",
        "ranvier.subnets.text:TextMiner",
        ":",
        "a:",
        ":b",
    ],
)
def test_a_reference_that_is_no_subnet_is_refused(reference) -> None:
    with pytest.raises((BrokenPlugin, UnknownSubnet)):
        load_subnet(reference)


def test_listing_imports_no_plugin() -> None:
    code = (
        "import sys; from ranvier.subnets import names; names(); "
        "print([name for name in sys.modules if name.startswith('ranvier.subnets.text')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
