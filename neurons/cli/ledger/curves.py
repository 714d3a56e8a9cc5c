"""A curve in the terminal, where one says more than a number."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 60
BLOCKS = " ▁▂▃▄▅▆▇█"


def curve(title: str, points: Sequence[tuple[int, float]], *, unit: str = "") -> None:
    """One line of bars over blocks, with its least and greatest value; nothing for fewer than two points.

    A bar stands for a stretch of blocks of equal length and shows the last value in it.
    """
    if len(points) < 2:
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    first, last = points[0][0], points[-1][0]
    about = f"  blocks {first} to {last}"
    width = max(1, min(WIDTH, last - first + 1, console.width - len(about) - 2))
    values, place = [points[0][1]] * width, 0
    for column in range(width):
        upto = first + (column + 1) * (last - first + 1) // width
        while place < len(points) and points[place][0] < upto:
            place += 1
        values[column] = points[max(place - 1, 0)][1]
    low, high = min(values), max(values)
    span = high - low or 1.0
    bars = "".join(BLOCKS[1 + round((value - low) / span * (len(BLOCKS) - 2))] for value in values)
    console.print(f"  {title}: {low:.4g} to {high:.4g} {unit}".rstrip())
    console.print(f"  {bars}{about}", markup=False)
