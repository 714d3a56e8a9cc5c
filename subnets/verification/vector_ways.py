"""Ways of computing the same embeddings or probabilities, from honest to cheapest; see `distances`."""

from __future__ import annotations

import copy
import datetime as dt
import platform
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ranvier.engines.load import Loader, Spec
from ranvier.engines.sentiment.sentences import prepared_path
from ranvier.engines.training.finance import rows as headlines
from ranvier.subnets.verification.distances import Distances, Rows, spreads

BATCH: Final = 16
WORDS: Final = 16
"""Where the way that truncates cuts."""
Way = Callable[[Sequence[str]], Rows]


class Ways:
    """The verifier's model and the others. ``other`` is the dtype that honest miners may compute in, too."""

    def __init__(
        self, kind: str, name: str, *, dtype: str = "float32", other: str = "bfloat16", device: str = "cpu"
    ) -> None:
        self.kind, self.name = kind, name
        self._model, self._second = (
            Loader(device=device, dtype=one).load([Spec(kind, name)])[0] for one in (dtype, other)
        )
        self._run = kind if kind == "embed" else "classify"
        self.info = self._model.info
        self.honest: dict[str, Way] = {
            f"{dtype}, one by one": lambda texts: [self._of(self._model, [text])[0] for text in texts],
            f"{dtype}, batches of 5 in another order": self._shuffled,
            f"{dtype}, padded batches of {BATCH}": lambda texts: self._padded(self._model, texts),
            f"{dtype}, two threads": self._two_threads,
            f"{other}, batches of {BATCH}": lambda texts: self._of(self._second, texts),
            f"{other}, padded batches of {BATCH}": lambda texts: self._padded(self._second, texts),
        }
        self.cheap: dict[str, Way] = {
            "4-bit weights": lambda texts: self._of(self._changed(_quantise), texts),
            "half of the layers": lambda texts: self._of(self._changed(_halve), texts),
            f"only {WORDS} words read": lambda texts: self._of(
                self._model, [" ".join(text.split()[:WORDS]) for text in texts]
            ),
            "cached answers to other texts": lambda texts: self._of(self._model, [*texts[1:], texts[0]]),
            "one answer to all": lambda texts: self._of(self._model, [texts[0]]) * len(texts),
            **self._rivals(device),
        }

    def own(self, texts: Sequence[str]) -> Rows:
        """The verifier's."""
        return self._of(self._model, texts)

    def _of(self, model: Any, texts: Sequence[str]) -> list[Any]:
        found: list[Any] = getattr(model, self._run)(texts)
        return found

    def _rivals(self, device: str) -> dict[str, Way]:
        """Other models of the same shape of answer."""
        if self.kind == "embed":
            return {
                "first token instead of the mean": self._first_token,
                "8-bit weights": lambda texts: self._of(
                    self._changed(lambda body: _quantise(body, 8)), texts
                ),
            }
        (smaller,) = Loader(device=device).load([Spec("classify", "sentiment-small")])
        return {"another model (sentiment-small)": lambda texts: self._of(smaller, texts)}

    def _shuffled(self, texts: Sequence[str]) -> Rows:
        order = list(range(len(texts)))
        random.Random(3).shuffle(order)
        found: list[Any] = [()] * len(texts)
        for start in range(0, len(order), 5):
            chosen = order[start : start + 5]
            for place, row in zip(chosen, self._of(self._model, [texts[k] for k in chosen]), strict=True):
                found[place] = row
        return found

    def _two_threads(self, texts: Sequence[str]) -> Rows:
        with _threads(2):
            return self._of(self._model, texts)

    def _padded(self, model: Any, texts: Sequence[str]) -> Rows:
        return [
            row
            for start in range(0, len(texts), BATCH)
            for row in self._forward(model, texts[start : start + BATCH])
        ]

    def _forward(self, model: Any, texts: Sequence[str]) -> list[Any]:
        """As other servers do it: rows of any length, padded to the longest."""
        import torch

        coded = model._tokenizer(list(texts), padding=True, return_tensors="pt").to(self.info.device)  # noqa: SLF001
        ids, mask = coded["input_ids"], coded["attention_mask"]
        with torch.inference_mode():
            if self.kind == "classify":
                network = model._network  # noqa: SLF001
                logits = network(ids, mask).float() / network.temperature.float()
                rows = logits.double().softmax(-1)
            else:
                states = model._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()  # noqa: SLF001
                weight = mask.unsqueeze(-1).float()
                rows = torch.nn.functional.normalize((states * weight).sum(1) / weight.sum(1), dim=-1)
        found: list[Any] = rows.tolist()
        return found

    def _first_token(self, texts: Sequence[str]) -> Rows:
        import torch

        found = []
        for text in texts:
            coded = self._model._tokenizer([text], return_tensors="pt").to(self.info.device)  # noqa: SLF001
            with torch.inference_mode():
                states = self._model._model(**coded).last_hidden_state.float()  # noqa: SLF001
            found.append(torch.nn.functional.normalize(states[0, 0], dim=-1).tolist())
        return found

    def _changed(self, change: Callable[[Any], None]) -> Any:
        model = copy.deepcopy(self._model)
        change(model._model if self.kind == "embed" else model._network.encoder)  # noqa: SLF001
        return model


def measure(ways: Ways, texts: Sequence[str], say: Callable[[str], None] = lambda line: None) -> Distances:
    """Compute in every way and keep what was seen: a minute or two of CPU for 400 texts."""
    own = ways.own(texts)

    def seen(name: str, way: Way) -> Rows:
        say(name)
        return way(texts)

    limit, honest, cheap = spreads(
        ways.kind,
        own,
        {name: seen(name, way) for name, way in ways.honest.items()},
        {name: seen(name, way) for name, way in ways.cheap.items()},
    )
    return Distances(
        model=ways.name,
        kind=ways.info.kind,
        digest=ways.info.digest,
        dtype=ways.info.dtype,
        device=ways.info.device,
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers")},
        },
        limit=limit,
        honest=honest,
        cheap=cheap,
    )


def texts_for(name: str, count: int, seed: int) -> list[str]:
    """Texts of one to five sentences: prepared film sentences for film models, generated headlines for all others."""
    rng = random.Random(seed)
    film = name.startswith("sentiment") and not name.endswith("finance")
    pieces = (
        _film_sentences(prepared_path())
        if film
        else [row["text"] for row in headlines("training", 4000, seed)]
    )
    return [". ".join(rng.sample(pieces, rng.randint(1, 2 if film else 5))) for _ in range(count)]


def _film_sentences(path: Path) -> list[str]:
    import json

    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _quantise(body: Any, bits: int = 4) -> None:
    """Round every linear weight to ``bits`` bits, one scale for each output row."""
    import torch

    levels = 2 ** (bits - 1) - 1
    for module in body.modules():
        if isinstance(module, torch.nn.Linear):
            weight = module.weight.data
            scale = weight.abs().amax(dim=1, keepdim=True) / levels
            module.weight.data = (weight / scale).round() * scale


def _halve(body: Any) -> None:
    """Run every second layer."""
    body.encoder.layer = body.encoder.layer[::2]
