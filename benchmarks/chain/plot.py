"""The guarantee's picture: small panels of curves, ours as lines and the published points as rings. Plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

ACROSS: Final = 3
SIDE, GAP, LEFT, TOP, FOOT = 250, 62, 66, 112, 34
COLOURS: Final = ((38, 84, 172), (30, 150, 110), (222, 92, 24))
"""Of the least, a middling and the most honest stake; mixed between."""
INK, PALE = "#222", "#ddd"


@dataclass(frozen=True)
class Curve:
    """For one share of honest stake: (cabal's weight on itself, honest weight needed), each 0 to 1."""

    stake: float
    ours: Sequence[tuple[float, float]]
    published: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One setting."""

    title: str
    curves: Sequence[Curve]


def drawn(panels: Sequence[Panel]) -> str:
    """The whole picture."""
    rows = -(-len(panels) // ACROSS)
    width = LEFT + ACROSS * (SIDE + GAP)
    height = TOP + rows * (SIDE + GAP) + FOOT - GAP + 24
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(
            LEFT, 30, "Honest weight needed to keep one's share of stake in the emission", 19, weight="bold"
        ),
        _text(
            LEFT,
            52,
            "512 nodes, 64 validators, one epoch. Lines: the exact epoch here. Rings: published curves.",
            13,
        ),
        *_legend([curve.stake for curve in panels[0].curves]),
    ]
    for number, panel in enumerate(panels):
        x = LEFT + number % ACROSS * (SIDE + GAP)
        y = TOP + number // ACROSS * (SIDE + GAP)
        parts += _panel(panel, x, y)
    middle = TOP + (height - TOP - FOOT) / 2
    parts.append(
        _text(
            LEFT + (ACROSS * (SIDE + GAP) - GAP) / 2,
            height - 14,
            "the cabal's weight on itself",
            13,
            "middle",
        )
    )
    parts.append(
        f'<text transform="translate(18 {middle:.0f}) rotate(-90)" font-size="13" text-anchor="middle">'
        "honest validators' weight on honest miners</text>"
    )
    return "\n".join([*parts, "</svg>", ""])


def _legend(stakes: Sequence[float]) -> list[str]:
    parts = [_text(LEFT, 78, "honest stake", 12)]
    for number, stake in enumerate(stakes):
        x = LEFT + 86 + number * 62
        parts.append(
            f'<line x1="{x}" y1="74" x2="{x + 18}" y2="74" stroke="{_colour(stake)}" stroke-width="3"/>'
        )
        parts.append(_text(x + 23, 78, f"{stake:.0%}", 12))
    return parts


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    parts = [_text(left, top - 8, panel.title, 13, weight="bold")]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = left + tick * SIDE, top + (1 - tick) * SIDE
        parts.append(f'<path d="M{left} {y}H{left + SIDE}M{x} {top}V{top + SIDE}" stroke="{PALE}"/>')
        parts.append(_text(x, top + SIDE + 15, f"{tick:g}", 11, "middle"))
        parts.append(_text(left - 6, y + 4, f"{tick:g}", 11, "end"))
    for curve in panel.curves:
        colour = _colour(curve.stake)
        line = " ".join(f"{left + x * SIDE:.1f},{top + (1 - y) * SIDE:.1f}" for x, y in curve.ours)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for x, y in curve.published:
            at = f'cx="{left + x * SIDE:.1f}" cy="{top + (1 - y) * SIDE:.1f}"'
            parts.append(f'<circle {at} r="2.6" fill="white" stroke="{colour}"/>')
    return parts


def _colour(stake: float) -> str:
    place = min(1.0, max(0.0, (stake - 0.5) / 0.5)) * (len(COLOURS) - 1)
    first = min(int(place), len(COLOURS) - 2)
    mixed = (
        round(a + (b - a) * (place - first)) for a, b in zip(COLOURS[first], COLOURS[first + 1], strict=True)
    )
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _text(x: float, y: float, words: str, size: int, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )
