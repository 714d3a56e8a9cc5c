"""The wheel must work where no checkout is: built, installed into a clean environment, run from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocol", "chain", "engines", "subnets", "neurons", "configs")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*command: str | Path, cwd: Path) -> str:
    # What PYTHONPATH names would be taken for installed already.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=500, env=clean
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, cwd=ROOT)
    (built,) = folder.glob("ranvier-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return python


def test_wheel_holds_real_files_of_every_folder(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for package in PACKAGES:
        assert any(name.startswith(f"ranvier/{package}/") for name in names), package
    assert "ranvier/py.typed" in names
    assert any(name.startswith("ranvier/configs/") and name.endswith(".toml") for name in names)
    assert not any(name.split("/")[0] in PACKAGES for name in names), "a folder leaked to top level"


def test_base_install_imports_without_torch_or_sdk(python: Path, tmp_path: Path) -> None:
    code = (
        "import importlib, importlib.util, sys\n"
        "for name in ('torch', 'transformers', 'bittensor'): assert importlib.util.find_spec(name) is None, name\n"
        "for name in ('protocol', 'chain', 'engines', 'subnets', 'neurons'):\n"
        "    importlib.import_module('ranvier.' + name)\n"
        "import ranvier; print(ranvier.__file__)\n"
    )
    assert str(ROOT) not in run(python, "-I", "-c", code, cwd=tmp_path)


def test_console_script_answers(python: Path, tmp_path: Path) -> None:
    assert "localnet" in run(python.parent / "ranvier", "--help", cwd=tmp_path)


def test_built_in_subnets_are_found(python: Path, tmp_path: Path) -> None:
    shown = run(python.parent / "ranvier", "subnets", "--installed", "--json", cwd=tmp_path)
    for name in ("text", "image", "sentiment"):
        assert name in shown


def test_scaffolded_package_passes_its_own_tests(python: Path, tmp_path: Path) -> None:
    run(python.parent / "ranvier", "new", "weather", cwd=tmp_path)
    (project,) = (path.parent for path in tmp_path.glob("*/pyproject.toml"))
    run(python, "-m", "pip", "install", "--quiet", "pytest", "pytest-asyncio", project, cwd=tmp_path)
    assert "passed" in run(python, "-m", "pytest", "-q", project, cwd=project)
