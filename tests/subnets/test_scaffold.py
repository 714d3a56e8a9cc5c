"""`ranvier new`: the package that is made stands on its own, and bad names are refused before anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ranvier.subnets.errors import BadName, FolderTaken
from ranvier.subnets.scaffold import create

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, **environment},
    )


def test_the_made_packages_own_tests_pass(tmp_path) -> None:
    made = create("deep_weather", tmp_path)
    assert made == tmp_path / "ranvier-deep-weather"
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=made, PYTHONPATH=str(made / "src"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_no_template_word_is_left_over_and_everything_compiles(tmp_path) -> None:
    made = create("weather", tmp_path)
    files = [path for path in made.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {
        "pyproject.toml",
        "README.md",
        "subnet.py",
        "py.typed",
        "cheats.py",
    }
    for path in files:
        text = path.read_text()
        assert "$" not in text.replace("{64}$", "")
        if path.suffix == ".py":
            compile(text, str(path), "exec")


@pytest.mark.slow
def test_the_made_package_is_found_by_its_entry_point(tmp_path) -> None:
    made, target = create("weather", tmp_path), tmp_path / "installed"
    done = run("-m", "pip", "install", "--quiet", "--no-deps", "--target", target, made, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    code = "from ranvier.subnets import load_subnet, load_miner; print(load_subnet('weather'), load_miner('weather'))"
    done = run("-c", code, cwd=tmp_path, PYTHONPATH=str(target))
    assert "WeatherSubnet" in done.stdout, done.stderr
    assert "WeatherMiner" in done.stdout


@pytest.mark.parametrize(
    "name", ["", "x", "Weather", "9lives", "a-b", "a b", "../up", "class", "trailing_", "a" * 50]
)
def test_bad_names_are_refused_and_write_nothing(tmp_path, name) -> None:
    with pytest.raises(BadName, match="small letters"):
        create(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_installed_is_refused(tmp_path) -> None:
    with pytest.raises(BadName, match="installed already"):
        create("text", tmp_path)


def test_a_folder_that_exists_is_left_alone(tmp_path) -> None:
    made = create("weather", tmp_path)
    (made / "README.md").write_text("mine")
    with pytest.raises(FolderTaken, match="--in"):
        create("weather", tmp_path)
    assert (made / "README.md").read_text() == "mine"


def test_the_examples_own_tests_pass() -> None:
    example = ROOT / "examples" / "ranvier-example"
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=example, PYTHONPATH=str(example / "src"))
    assert done.returncode == 0, done.stdout + done.stderr
