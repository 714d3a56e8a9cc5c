"""From a model spec such as ``text=smollm2`` to a loaded model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ranvier.engines.errors import MissingExtra, ModelNotFound
from ranvier.engines.memory import UNKNOWN
from ranvier.engines.sentiment.catalog import VARIANTS, load_sentiment
from ranvier.engines.store import Store

KINDS: Final = ("text", "image", "classify", "embed")
PRUNED: Final = "-pruned"
PRUNED_SHARE: Final = 13 / 15
"""The share of layers that a ``-pruned`` text model keeps: 26 of 30."""
DTYPES: Final = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Spec:
    """What to load: ``kind=name``, where the name is a prepared model, a folder or a hub id.

    An image model may be loaded in several dtypes, each served under a name of its own: ``image=name@bfloat16``.
    """

    kind: str
    name: str
    dtype: str = ""
    """Empty: the engine's."""

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read ``kind=name`` or ``image=name@dtype``; raises `ModelNotFound`."""
        kind, _, name = text.partition("=")
        if kind not in KINDS or not name:
            raise ModelNotFound(text, "a model is named kind=name", f"Kinds: {', '.join(KINDS)}.")
        bare, at, dtype = name.rpartition("@")
        if kind != "image" or not at or Path(name).exists():
            return cls(kind, name)
        if dtype not in DTYPES or not bare:
            raise ModelNotFound(
                text, f"{dtype!r} is no dtype to load an image model in", f"After @: {', '.join(DTYPES)}."
            )
        return cls(kind, bare, dtype)

    @property
    def label(self) -> str:
        """The name that it is served under."""
        return f"{self.name}@{self.dtype}" if self.dtype else self.name


def need(extra: str, *modules: str) -> None:
    """Raises `MissingExtra` where one of its modules is not there; imports none of them."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(extra, module)


class Loader:
    """Loads models; networks of the same name are loaded once and shared.

    ``memory`` is the bound of bytes that the process will get when all is loaded.
    """

    def __init__(
        self,
        *,
        device: str = "cpu",
        dtype: str | None = None,
        store: Store | None = None,
        safety: bool = True,
        memory: int = UNKNOWN,
    ) -> None:
        self._device, self._dtype, self._safety, self._memory = device, dtype, safety, memory
        self._store = store or Store()
        self._networks: dict[str, Any] = {}
        need("models", "torch", "transformers")

    def load(self, specs: Sequence[Spec]) -> list[Any]:
        """Every model, in order; raises `ModelError`."""
        self._check_device()
        load = {"text": self._text, "classify": self._classify, "embed": self._embed}
        return [self._image(spec) if spec.kind == "image" else load[spec.kind](spec.name) for spec in specs]

    def _check_device(self) -> None:
        import torch

        if self._device.startswith("cuda") and not torch.cuda.is_available():
            raise ModelNotFound(
                self._device,
                "torch sees no CUDA device",
                "Use --device cpu, or install a CUDA build of torch.",
            )

    def _text(self, name: str) -> Any:
        from ranvier.engines.text.model import CausalText

        if name.endswith(PRUNED):
            whole = self.network(name.removesuffix(PRUNED))
            return CausalText(name, whole.pruned(round(whole.layers * PRUNED_SHARE)))
        return CausalText(name, self.network(name))

    def network(self, name: str) -> Any:
        """A text model's `Network`, loaded once. Raises `ModelNotFound`."""
        from ranvier.engines.text.network import Network

        if name not in self._networks:
            source, digest = self._resolve(name)
            self._networks[name] = Network.load(
                source,
                dtype=self._dtype or "bfloat16",
                device=self._device,
                digest=digest,
                memory_bound=self._memory,
            )
        return self._networks[name]

    def _resolve(self, name: str) -> tuple[str, str]:
        """Where a model is loaded from, and its digest if the store knows it."""
        if self._store.has(name):
            return str(self._store.path(name)), self._store.manifest(name).digest
        if Path(name).is_dir() or ("/" in name and not name.startswith((".", "/", "~"))):
            return name, ""
        raise ModelNotFound(
            name,
            "it is neither prepared, nor a folder, nor a hub id (owner/name)",
            f"Run `ranvier models prepare {name}`, or name a folder that holds safetensors.",
        )

    def _body(self) -> Path:
        self._store.manifest("minilm")
        return self._store.path("minilm")

    def _classify(self, name: str) -> Any:
        if name not in VARIANTS:
            raise ModelNotFound(name, "no such classifier ships", f"Known: {', '.join(VARIANTS)}.")
        return load_sentiment(name, self._body(), device=self._device, dtype=self._dtype or "float32")

    def _embed(self, name: str) -> Any:
        from ranvier.engines.embed.model import SentenceEmbedder

        source, digest = self._resolve(name)
        return SentenceEmbedder(
            name, source, digest=digest, device=self._device, dtype=self._dtype or "float32"
        )

    def _image(self, spec: Spec) -> Any:
        from ranvier.engines.image.model import load_image

        return load_image(
            spec.name,
            served_as=spec.label,
            device=self._device,
            dtype=spec.dtype or self._dtype or "float32",
            safety=self._safety,
        )
