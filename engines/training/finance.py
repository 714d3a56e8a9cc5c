"""Write generated finance headlines, labelled by construction: ``python -m ranvier.engines.training.finance --help``.

Phrases are those of finance.toml. One figure, event or headline in seven (by hash) is withheld from training: held
rows are made of those only. The hand-written headlines of benchmarks/engines/headlines have no part in this.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

Part = Literal["training", "held"]
LABELS: Final = ("negative", "neutral", "positive")
_HELD: Final = 7
_NUMBERS: Final = ("3%", "5%", "12%", "1.4%", "0.3%", "20%", "8.5%", "a third", "a tenth", "2.6%", "40%")
_SUMS: Final = (
    "$40 million",
    "€2.1 billion",
    "£300 million",
    "15 million",
    "1.2 billion",
    "$650m",
    "90 million",
)


def withheld(phrase: str) -> bool:
    """Whether a phrase is kept from training."""
    return hashlib.sha256(phrase.encode()).digest()[0] % _HELD == 0


@dataclass(frozen=True, slots=True)
class Headline:
    """One generated text; ``label`` is a place in `LABELS`."""

    text: str
    label: int


class Newsroom:
    """Draws headlines of one part; the same seed gives the same headlines."""

    def __init__(self, part: Part, seed: int) -> None:
        raw = tomllib.loads((files(__package__) / "finance.toml").read_text("utf-8"))
        self._names: dict[str, list[str]] = raw["names"]
        self._moves: dict[str, list[str]] = raw["moves"]
        self._reaction: dict[str, list[str]] = raw["reaction"]
        self._metrics, self._company, self._standalone = (
            {name: _of_part(phrases, part) for name, phrases in raw[group].items()}
            for group in ("metrics", "company", "standalone")
        )
        self._rng = random.Random(seed)
        self._kinds: tuple[tuple[int, Callable[[int], str]], ...] = (
            (5, self._metric),
            (3, self._economy),
            (6, self._event),
            (4, self._alone),
            (3, self._contrast),
            (2, self._denied),
        )

    def headline(self) -> Headline:
        """One more; labels are drawn first, alike."""
        label = self._rng.randrange(3)
        (make,) = self._rng.choices([kind for _, kind in self._kinds], [weight for weight, _ in self._kinds])
        return Headline(self._filled(make(label)), label)

    def _pick(self, phrases: Sequence[str]) -> str:
        return self._rng.choice(phrases)

    def _figure(self, label: int, domain: str) -> tuple[str, str]:
        """A figure and its move that mean ``label``: costs that fall are good, sales that fall are not."""
        good = self._rng.random() < 0.5
        name = self._pick(self._metrics[("econ_" if domain == "econ" else "") + ("good" if good else "bad")])
        if label == 1:
            return name, _agreeing(name, self._pick(self._moves["flat"]))
        return name, _agreeing(name, self._pick(self._moves["rise" if good == (label == 2) else "fall"]))

    def _metric(self, label: int) -> str:
        name, move = self._figure(label, "")
        amount = self._pick(("", "", " {n}", " by {n}", " to {m}", " in {p}")) if label != 1 else ""
        when = self._pick(("", "", " in {p}"))
        form = self._pick(
            (
                "{c} says {f} {v}",
                "{c}: {f} {v}",
                "{F} at {c} {v}",
                "{c}'s {f} {v}",
                "{F} of {c} {v}",
                "{c} {f} {v}",
            )
        )
        bare = name.removeprefix("the ") if form.startswith(("{c}'s", "{c} {f}")) else name
        said = form.replace("{f}", bare).replace("{F}", _capital(bare)).replace("{v}", move + amount)
        if label != 1 and self._rng.random() < 0.25:
            return f"{said}{when}, {self._pick(self._reaction[LABELS[label]])}"
        return said + ("" if "{p}" in said else when)

    def _economy(self, label: int) -> str:
        name, move = self._figure(label, "econ")
        bare = name.removeprefix("the ")
        amount = (
            self._pick(("", "", " {n}", " in {p}", " by {n}")) if label != 1 else self._pick(("", " in {p}"))
        )
        form = self._pick(
            ("{F} {v}", "{F} {v}", "{F} in {e} {v}", "{e}: {f} {v}", "{e}'s {f} {v}", "{F} {v} in {e}")
        )
        return form.replace("{f}", bare).replace("{F}", _capital(bare)).replace("{v}", move + amount)

    def _event(self, label: int) -> str:
        event = self._pick(self._company[LABELS[label]])
        said = f"{{c}} {event}"
        chance = self._rng.random()
        if chance < 0.15:
            return f"{said}, {self._pick(self._reaction[LABELS[label]])}"
        if chance < 0.2:
            return f"{_capital(self._pick(self._reaction[LABELS[label]]))} as {said}"
        if chance < 0.25:
            return f"Report: {said}"
        return said

    def _alone(self, label: int) -> str:
        return self._pick(self._standalone[LABELS[label]])

    def _contrast(self, label: int) -> str:
        """Two clauses that pull apart; the label is that of the one that counts, or none where they balance."""
        if label == 1:
            first = self._figure(2, "")
            second = self._figure(0, "")
            end = self._pick(
                ("shares unchanged", "the stock is flat", "shares barely move", "the outlook is unchanged")
            )
            return f"{{c}}: {' '.join(first)}, {' '.join(second)}, {end}"
        against = 2 - label
        counts, other = self._clause(label), self._clause(against)
        event = self._pick(self._company[LABELS[against]])
        reaction = self._pick(self._reaction[LABELS[label]])
        figure = " ".join(self._figure(against, ""))
        forms = (
            f"{{c}} {event}, but {reaction}",
            f"{_capital(reaction)} even though {{c}} {event}",
            f"Despite {self._noun(against)}, {{c}} {self._pick(self._company[LABELS[label]])}",
            f"Although {figure}, {{c}} {self._pick(self._company[LABELS[label]])}",
            f"{_capital(figure)} at {{c}}, but {reaction}",
            f"{{c}} {other}, yet {counts}",
        )
        return self._pick(forms)

    def _clause(self, label: int) -> str:
        return self._pick(self._company[LABELS[label]])

    def _noun(self, label: int) -> str:
        name, _ = self._figure(label, "")
        good = name in self._metrics["good"]
        up = self._pick(("higher", "rising", "record", "growing"))
        down = self._pick(("lower", "falling", "weak", "shrinking"))
        return f"{up if good == (label == 2) else down} {name.removeprefix('the ')}"

    def _denied(self, label: int) -> str:
        """A move denied: no rise of costs is good news, no rise of sales is not; what was not asked is neither."""
        good = self._rng.random() < 0.5
        name = self._pick(self._metrics["good" if good else "bad"]).removeprefix("the ")
        if label == 1:
            return self._pick(
                (
                    f"No change in {name} at {{c}}",
                    f"{{c}} does not comment on {name}",
                    f"{{c}}: no news on {name}",
                )
            )
        up, down = ("rise", "grow", "increase"), ("fall", "shrink", "decline")
        wanted = self._pick(down if good == (label == 2) else up)
        return self._pick(
            (
                f"{{c}} no longer expects {name} to {wanted}",
                f"{_capital(name)} at {{c}} did not {wanted} as feared",
                f"{{c}} does not see {name} {wanted}ing".replace("eing", "ing").replace(
                    "declineing", "declining"
                ),
            )
            if label == 2
            else (
                f"{{c}} no longer expects {name} to {wanted}",
                f"{_capital(name)} at {{c}} did not {wanted} as hoped",
                f"{{c}} fails to make {name} {wanted}",
            )
        )

    def _filled(self, text: str) -> str:
        slots: dict[str, Callable[[], str]] = {
            "{c}": self._a_company,
            "{o}": self._a_company,
            "{n}": lambda: self._pick(_NUMBERS),
            "{m}": lambda: self._pick(_SUMS),
            "{q}": lambda: self._pick(("200", "1,500", "30,000", "450", "7,000")),
            "{x2}": lambda: self._pick(self._names["thing"]),
        }
        letters = {"p": "period", "b": "broker", "k": "coin", "e": "economy", "d": "date", "w": "place"}
        for slot, fill in slots.items():
            if slot in text:
                text = text.replace(slot, fill())
        for letter, group in {**letters, "s": "person", "x": "product"}.items():
            if f"{{{letter}}}" in text:
                text = text.replace(f"{{{letter}}}", self._pick(self._names[group]))
        text = _capital(text)
        return text.lower() if self._rng.random() < 0.05 else text

    def _a_company(self) -> str:
        first = self._pick(self._names["first"])
        if self._rng.random() < 0.4:
            first = _capital(
                "".join(self._pick(self._names["syllables"]) for _ in range(self._rng.randint(2, 3)))
            )
        chance = self._rng.random()
        if chance < 0.3:
            return first
        if chance < 0.4:
            return f"{first} & {self._pick(self._names['first'])}"
        return f"{first} {self._pick(self._names['kind'])}"


def _agreeing(name: str, move: str) -> str:
    """The move with its verb in the plural where the figure is one: margins rise."""
    verb, _, rest = move.partition(" ")
    plural = name.endswith("s") or " of " in name or name.startswith(("earnings ", "assets ", "savings "))
    if not plural or name.endswith("ss") or not verb.endswith("s") or verb in ("as", "less"):
        return move
    bare = verb[:-2] if verb.endswith(("ches", "sses")) else verb[:-1]
    return f"{bare} {rest}".strip()


def _of_part(phrases: Sequence[str], part: Part) -> list[str]:
    return [phrase for phrase in phrases if withheld(phrase) == (part == "held")]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def rows(part: Part, count: int, seed: int) -> list[dict[str, Any]]:
    """Distinct headlines as the trainer reads them: {"text", "label", "made": true}."""
    room = Newsroom(part, seed)
    found: dict[str, int] = {}
    for _ in range(20 * count):
        made = room.headline()
        found.setdefault(made.text, made.label)
        if len(found) == count:
            break
    return [{"text": text, "label": label, "made": True} for text, label in found.items()]


def labelled(path: Path) -> list[dict[str, Any]]:
    """Hand-written headlines (tab-separated label, kind, text; a head, comments after #) as the trainer reads them."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    parts = [line.split("\t") for line in lines[1:]]
    return [{"text": text, "label": LABELS.index(label), "made": True} for label, _, text in parts]


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="ranvier.engines.training.finance", description=__doc__)
    parser.add_argument("--part", choices=("training", "held"), default="training")
    parser.add_argument("--count", type=int, default=16000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--headlines", type=Path, help="a file of labelled headlines to write instead")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines to write")
    given = parser.parse_args(arguments)
    made = labelled(given.headlines) if given.headlines else rows(given.part, given.count, given.seed)
    given.out.write_text("".join(json.dumps(row) + "\n" for row in made), "utf-8")


if __name__ == "__main__":
    main()
