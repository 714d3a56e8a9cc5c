"""The consensus guarantees that were published for Yuma, run again through the exact epoch.

A curve is for one share of honest stake and one setting: how much of its weight an honest validator must give to honest
miners, so that the honest part keeps its share of stake in the emission, against how much the cabal gives to its own.
The published ones were digitised from the plots in Subtensor's documentation, about to the third decimal; where a
plot's label hides a point there is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from figure import Bar, Figure
from plot import Curve, Panel, drawn
from registry import Found, Options, Table
from split import CASES, Setting, Split, needed

ROOT: Final = Path(__file__).resolve().parents[2]
PUBLISHED: Final = ROOT / "tests" / "chain" / "data" / "yuma_vectors.json"
PICTURE: Final = ROOT / "docs" / "images" / "yuma-guarantee.svg"
PANELS: Final[Mapping[str, tuple[str, Setting]]] = {
    "weights_stddev_0.svg": ("weights all alike (σ 0)", Setting(deviation=0.0)),
    "weights_stddev_20.svg": ("σ .2", Setting(deviation=0.2)),
    "weights_stddev_40.svg": ("σ .4, κ .5, β 1, ξ .5", Setting()),
    "kappa_40.svg": ("κ .4: consensus of 40 %", Setting(kappa=0.4)),
    "kappa_60.svg": ("κ .6: consensus of 60 %", Setting(kappa=0.6)),
    "bonds_penalty_0.svg": ("β 0: no bonds penalty", Setting(beta=0.0)),
    "bonds_penalty_50.svg": ("β .5", Setting(beta=0.5)),
    "validator_emission_0.svg": ("ξ 0: all to miners", Setting(xi=0.0)),
    "validator_emission_25.svg": ("ξ .25: a quarter to validators", Setting(xi=0.25)),
}
"""Title and setting by the published plot's name; plots of settings that occur twice are left out."""
LOOSE: Final = ("kappa_40.svg", 0.51)
"""The one curve that depends on the draw: both sides hold more than kappa of the stake and each is cut by chance."""
TOLERANCE: Final = 0.01
SEEDS: Final = 5
DRAWS: Final = 2
"""For a curve: their mean counts."""


@dataclass(frozen=True)
class Point:
    """One published point and ours."""

    plot: str
    honest: float
    cabal_weight: float
    published: float
    ours: float

    @property
    def apart(self) -> float:
        """Distance."""
        return abs(self.published - self.ours)

    @property
    def loose(self) -> bool:
        """Whether it belongs to the curve that no single draw decides."""
        return (self.plot, self.honest) == LOOSE


def run(options: Options) -> Found:
    """The upstream assertions, then all curves; draws the picture where asked."""
    kept = _kept(1 if options.quick else SEEDS)
    points = list(_points(options))
    if options.plots:
        PICTURE.write_text(drawn(_panels(points)))
    return Found([kept, *_figures(points)], [_table(points)])


def _kept(seeds: int) -> Figure:
    margins = [
        Split(stake, Setting(deviation=deviation), seed).share(honest, cabal) / stake
        for stake, honest, cabal, deviation in CASES
        for seed in range(seeds)
    ]
    # The first two cases stand on the border, both sides weigh alike: u16 weights move them by their quantum.
    held = sum(margin >= 1 - 1 / 65535 for margin in margins)
    return Figure(
        f"{len(CASES)} guarantees that Subtensor asserts, {seeds} draws each: kept",
        held,
        f"of {len(margins)}",
        Bar(len(margins), at_least=True),
        f"least share of emission over share of stake: {min(margins):.5f}",
    )


def _points(options: Options) -> Iterator[Point]:
    plots = json.loads(PUBLISHED.read_text())["retention_published"]["plots"]
    for plot, (_, setting) in list(PANELS.items())[: 1 if options.quick else None]:
        for stake, curve in list(plots[plot].items())[: 1 if options.quick else None]:
            honest = float(stake)
            draws = [Split(honest, setting, seed) for seed in range(options.seed, options.seed + DRAWS)]
            for weight, published in curve["WH_at_WC"].items():
                if published:  # hidden by a label: null, or 0 in one plot
                    ours = float(np.mean([needed(draw, honest, float(weight)) for draw in draws]))
                    yield Point(plot, honest, float(weight), published, ours)


def _figures(points: list[Point]) -> Iterator[Figure]:
    firm = [point for point in points if not point.loose]
    curves = {(point.plot, point.honest) for point in firm}
    worst = max(firm, key=lambda point: point.apart)
    where = f"{worst.honest:.0%} honest stake, cabal's weight on itself {worst.cabal_weight:g}"
    yield Figure(
        f"{len(firm)} points of {len(curves)} published curves: worst distance",
        worst.apart,
        "",
        Bar(TOLERANCE),
        f"{PANELS[worst.plot][0]}, {where}; mean {np.mean([point.apart for point in firm]):.4f}",
    )
    exception = [point for point in points if point.plot == "kappa_60.svg" and point.honest == 0.6]
    if exception:
        value = max(point.apart for point in exception)
        yield Figure("of them kappa .6 at 60 % honest stake: worst distance", value, "", Bar(TOLERANCE))
    loose = [point for point in points if point.loose]
    if loose:
        yield Figure(
            "kappa .4 at 51 % honest stake: worst distance",
            max(point.apart for point in loose),
            "",
            None,
            "decided by the draw, see the page",
        )


def _table(points: list[Point]) -> Table:
    """The published setting by setting at the stakes that its text speaks of."""
    shown = [p for p in points if p.honest in (0.6, 0.7)]
    weights = sorted({point.cabal_weight for point in shown})
    found = {(p.plot, p.honest, p.cabal_weight): f"{p.published:.3f} / {p.ours:.3f}" for p in shown}
    lines = [
        (PANELS[plot][0], f"{honest:g}", *(found.get((plot, honest, weight), "") for weight in weights))
        for plot, honest in dict.fromkeys((p.plot, p.honest) for p in shown)
    ]
    heads = ("setting", "stake", *(f"{weight:g}" for weight in weights))
    return Table("Honest weight needed, published / ours, by the cabal's weight on itself", heads, lines)


def _panels(points: list[Point]) -> list[Panel]:
    panels = []
    for plot, (title, _) in PANELS.items():
        curves = [
            Curve(
                honest,
                [(p.cabal_weight, p.ours) for p in points if (p.plot, p.honest) == (plot, honest)],
                [(p.cabal_weight, p.published) for p in points if (p.plot, p.honest) == (plot, honest)],
            )
            for honest in dict.fromkeys(point.honest for point in points)
        ]
        panels.append(Panel(title, curves))
    return panels
