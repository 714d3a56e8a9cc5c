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
WATCHED: Final = {
    ("kappa_60.svg", 0.6): "kappa .6 at 60 % honest stake",
    ("kappa_40.svg", 0.51): "kappa .4 at 51 % honest stake",
}
"""Curves that hang on a threshold, and on chance in the draw."""
OTHER_DRAWS: Final = 30
TOLERANCE: Final = 0.01
SEEDS: Final = 5
PUBLISHED_SEED: Final = 0
"""Of the generator in Subtensor's own test, which drew the published curves: see `stdrng`."""


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


def run(options: Options) -> Found:
    """The upstream assertions, then all curves; draws the picture where asked."""
    kept = _kept(1 if options.quick else SEEDS)
    points = list(_points(options))
    if options.plots:
        PICTURE.write_text(drawn(_panels(points)))
    return Found([kept, *_figures(points), _chance(1 if options.quick else OTHER_DRAWS)], [_table(points)])


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


def _chance(draws: int) -> Figure:
    """How far apart other draws of the network lie at the end of the curve that hangs on the draw."""
    plot, honest = "kappa_40.svg", 0.51
    splits = [Split(honest, PANELS[plot][1], seed) for seed in range(1, draws + 1)]
    found = [needed(split, honest, 1.0) for split in splits]
    return Figure(
        f"kappa .4 at 51 % honest stake, cabal's weight on itself 1: spread of {draws} other draws",
        max(found) - min(found),
        "",
        None,
        f"{min(found):.3f} to {max(found):.3f}, mean {np.mean(found):.3f}",
    )


def _points(options: Options) -> Iterator[Point]:
    plots = json.loads(PUBLISHED.read_text())["retention_published"]["plots"]
    for plot, (_, setting) in list(PANELS.items())[: 1 if options.quick else None]:
        for stake, curve in list(plots[plot].items())[: 1 if options.quick else None]:
            honest = float(stake)
            draw = Split(honest, setting, PUBLISHED_SEED)
            for weight, published in curve["WH_at_WC"].items():
                if published:  # hidden by a label: null, or 0 in one plot
                    ours = needed(draw, honest, float(weight))
                    yield Point(plot, honest, float(weight), published, ours)


def _figures(points: list[Point]) -> Iterator[Figure]:
    curves = {(point.plot, point.honest) for point in points}
    worst = max(points, key=lambda point: point.apart)
    where = f"{worst.honest:.0%} honest stake, cabal's weight on itself {worst.cabal_weight:g}"
    yield Figure(
        f"{len(points)} points of {len(curves)} published curves: worst distance",
        worst.apart,
        "",
        Bar(TOLERANCE),
        f"{PANELS[worst.plot][0]}, {where}; mean {np.mean([point.apart for point in points]):.4f}",
    )
    for (plot, stake), what in WATCHED.items():
        found = [point.apart for point in points if (point.plot, point.honest) == (plot, stake)]
        if found:
            yield Figure(f"of them {what}: worst distance", max(found), "", Bar(TOLERANCE))


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
