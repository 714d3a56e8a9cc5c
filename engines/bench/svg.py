"""Speed and memory over the size of load as a drawing. By hand: two plots need no plotting library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from ranvier.engines.bench.report import Bench, Lap

COLOURS: Final = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df")
WIDTH: Final = 420
HEIGHT: Final = 240
LEFT: Final = 64
TOP: Final = 44
STEPS: Final = 4
Value = Callable[[Lap], float]


def drawing(benches: Sequence[Bench]) -> str:
    """An SVG picture: speed on the left, memory on the right, a line for each model."""
    units = " or ".join(dict.fromkeys(one.unit for one in benches))
    whole, height = 2 * (WIDTH + LEFT) + 40, TOP + HEIGHT + 56 + 18 * len(benches)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{height}" '
        f'viewBox="0 0 {whole} {height}" font-family="sans-serif" font-size="12">'
    )
    parts = [
        head,
        f'<rect width="{whole}" height="{height}" fill="#ffffff"/>',
        *_panel(benches, 0, f"{units} a second", lambda lap: lap.per_second),
        *_panel(benches, WIDTH + LEFT + 20, "peak memory, MiB", lambda lap: lap.measured / (1 << 20)),
        *(_legend(number, one) for number, one in enumerate(benches)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(benches: Sequence[Bench], left: int, title: str, value: Value) -> list[str]:
    laps = [lap for one in benches for lap in one.done]
    sizes = sorted({lap.size for lap in laps})
    top = _round(max((value(lap) for lap in laps), default=1.0))
    at_x = _placed(left + LEFT, sizes)
    parts = [f'<text x="{left + LEFT}" y="{TOP - 16}" font-weight="bold">{escape(title)}</text>']
    for step in range(STEPS + 1):
        y = TOP + HEIGHT * (1 - step / STEPS)
        parts.append(f'<path d="M{left + LEFT} {y:.1f}h{WIDTH}" stroke="#d0d7de"/>')
        parts.append(
            f'<text x="{left + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * step / STEPS:g}</text>'
        )
    parts += [
        f'<text x="{at_x(size):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{size}</text>'
        for size in sizes
    ]
    parts.append(
        f'<text x="{left + LEFT + WIDTH}" y="{TOP + HEIGHT + 34}" text-anchor="end">requests at once</text>'
    )
    for number, one in enumerate(benches):
        points = [(at_x(lap.size), TOP + HEIGHT * (1 - value(lap) / top)) for lap in one.done]
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return parts


def _placed(left: int, sizes: Sequence[int]) -> Callable[[int], float]:
    """Sizes on a scale that doubles."""
    low = math.log2(sizes[0]) if sizes else 0.0
    span = (math.log2(sizes[-1]) - low if sizes else 0.0) or 1.0
    return lambda size: left + 16 + (WIDTH - 32) * (math.log2(size) - low) / span


def _legend(number: int, one: Bench) -> str:
    y = TOP + HEIGHT + 52 + 18 * number
    colour = COLOURS[number % len(COLOURS)]
    said = escape(f"{one.model} by {one.engine}, {one.dtype}, {one.device} {one.device_name}".strip())
    return (
        f'<path d="M{LEFT} {y - 4}h24" stroke="{colour}" stroke-width="3"/>'
        f'<text x="{LEFT + 32}" y="{y}">{said}</text>'
    )


def _round(value: float) -> float:
    """The next number that is easy to read at each quarter."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(
        float(step * power) for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value
    )
