"""Rules of the house that tools do not check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocol", "chain", "engines", "subnets", "neurons", "testing")
FORBIDDEN_CALLS = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "marshal.loads"}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_from_data(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in FORBIDDEN_CALLS
            if ast.unparse(node.func) == "torch.load":
                assert any(word.arg == "weights_only" for word in node.keywords)
        if isinstance(node, ast.Import):
            assert not {name.name for name in node.names} & FORBIDDEN_IMPORTS
        if isinstance(node, ast.ImportFrom):
            assert node.module not in FORBIDDEN_IMPORTS


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_does_not_import_torch_or_the_sdk(package: str) -> None:
    heavy = "('torch', 'transformers', 'bittensor')"
    code = f"import sys, ranvier.{package}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_links_are_relative_and_complete() -> None:
    for package in (*PACKAGES, "configs"):
        link = ROOT / "src" / "ranvier" / package
        assert link.is_symlink()
        assert link.readlink() == Path("../..") / package


def test_every_package_is_named_in_the_architecture_page() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert all(re.search(rf"^{package}/", page, re.MULTILINE) for package in PACKAGES)
