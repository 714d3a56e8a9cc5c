"""Models by name: what ships, what can be prepared, and any folder, GGUF file or hub id beside those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.heads import safetensors_head
from ranvier.engines.hub import hub_shape
from ranvier.engines.load import KINDS
from ranvier.engines.prepare import RECIPES
from ranvier.engines.sentiment.catalog import VARIANTS, Variant
from ranvier.engines.shape import Shape, read_shape
from ranvier.engines.store import Store

_BODY: Final = "minilm"
_HERE: Final = Path(__file__).parent
_SENTIMENT: Final = {
    "sentiment": "negative, neutral, positive: six layers over minilm",
    "sentiment-finance": "the same of financial headlines",
    "sentiment-small": "the same with three layers, an honest weaker miner's",
    "sentiment-pruned": "the first with half of its layers left out: a cheat's, for tests",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One model, as far as it is known here. ``shape`` is None for what is not prepared, and for data."""

    name: str
    kind: str
    about: str
    licence: str
    source: str
    place: Path | None = None
    """Where its files are; None while they are not."""
    shape: Shape | None = None
    disk: int = 0
    """Bytes of its files, or about so many once they are there."""
    command: str = ""
    """What makes it ready."""

    @property
    def spec(self) -> str:
        """As ``ranvier engine --model`` takes it."""
        return f"{self.kind}={self.name}" if self.kind in KINDS else self.name


def entries(store: Store | None = None) -> list[Entry]:
    """All that ships or can be prepared."""
    kept = store or Store()
    return [*_recipes(kept), _scenes(), *_sentiment(kept)]


def find(name: str, store: Store | None = None) -> Entry:
    """A known name, a folder, a GGUF file or a hub id, also as ``kind=name``. Raises `ModelNotFound`."""
    kind, _, bare = name.rpartition("=")
    known = {one.name: one for one in entries(store)}
    if bare in known:
        return known[bare]
    path = Path(bare).expanduser()
    if path.is_dir() or path.is_file():
        shape = read_shape(path)
        return Entry(bare, kind or shape.kind, "", "", "a path", path, shape, shape.disk)
    if bare.count("/") == 1 and not bare.startswith((".", "/", "~")):
        shape = hub_shape(bare)
        return Entry(bare, kind or shape.kind, "", "", "a hub id", None, shape, shape.disk)
    raise ModelNotFound(
        bare,
        "it is no known name, folder, GGUF file or hub id (owner/name)",
        f"Known: {', '.join(known)}.",
    )


def _recipes(store: Store) -> Iterator[Entry]:
    for name, recipe in RECIPES.items():
        ready = store.has(name)
        place = store.path(name) if ready else None
        yield Entry(
            name=name,
            kind=recipe.kind,
            about=recipe.about,
            licence=recipe.licence,
            source=recipe.package.requirement,
            place=place,
            shape=_shape(place) if place is not None and recipe.kind in KINDS else None,
            disk=_size(place) if place is not None else recipe.disk,
            command="" if ready else f"ranvier models prepare {name}",
        )


def _scenes() -> Entry:
    place = _HERE / "image" / "scenes"
    about = "small pictures of scenes from captions, the image model"
    return Entry(
        "scenes",
        "image",
        about,
        "Apache-2.0",
        "ships with ranvier",
        place,
        _shape(place),
        _size(place),
    )


def _sentiment(store: Store) -> Iterator[Entry]:
    ready = store.has(_BODY)
    for name, variant in VARIANTS.items():
        yield Entry(
            name=name,
            kind="classify",
            about=_SENTIMENT[name],
            licence="Apache-2.0",
            source=f"ships with ranvier, over {_BODY}",
            place=variant.weights if ready else None,
            shape=_classifier(store.path(_BODY), variant) if ready else None,
            disk=variant.weights.stat().st_size,
            command="" if ready else f"ranvier models prepare {_BODY}",
        )


def _classifier(body: Path, variant: Variant) -> Shape:
    """Its corrections are merged into the layers of the body, of which it has fewer or as many."""
    whole = read_shape(body)
    told = safetensors_head(variant.weights)["__metadata__"]["layers"]
    layers = len(variant.kept_layers) if variant.kept_layers is not None else int(told)
    hidden, inner = whole.hidden, whole.inner
    each = 4 * hidden * (hidden + 1) + 2 * hidden * inner + inner + 5 * hidden
    left_out = (whole.layers - layers) * each
    return replace(whole, kind="classify", layers=layers, parameters=whole.parameters - left_out)


def _shape(place: Path) -> Shape:
    return read_shape(next(iter(place.glob("*.gguf")), place))


def _size(place: Path) -> int:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
