"""Text engines beside each other in one run, few and many at once, and what faults cost.

Run: python benchmarks/engines [--only PART] [--quick] [--json FILE] [--docs FILE] [--read FILES]

Needs `ranvier models prepare smollm2 smollm2-gguf` and the extras models and llamacpp. One thread for every lane;
ratios are of processor time, so that neighbours on the machine move them little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import compiled
import faults
import few
import text
from figure import HEAD, Figure, markdown
from rich.console import Console
from rich.table import Table

from ranvier.engines.llama import gguf_of
from ranvier.engines.store import Store

BEGIN, END = "<!-- begin: python benchmarks/engines -->", "<!-- end -->"
PACKAGES = ("torch", "transformers", "xllamacpp", "aiohttp")
PARTS = ("text", "few", "faults", "compile")


def measured(part: str, gguf: Path, *, quick: bool) -> Sequence[Figure]:
    """The figures of one part."""
    if part == "text":
        return text.figures(str(Store().path("smollm2")), gguf, quick=quick)
    if part == "compile":
        return compiled.figures(str(Store().path("smollm2")), quick=quick)
    return few.figures(gguf, quick=quick) if part == "few" else faults.figures(quick=quick)


def described(busy: str) -> str:
    """When, on what, with which versions."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    return (
        f"{date}; {os.cpu_count()} cores of {processor}, no GPU used; load before and after {busy}; Python "
        f"{platform.python_version()}, {packages}."
    )


def replace(page: Path, tables: str) -> None:
    """Put the table between the page's marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}")
    page.write_text(f"{before}{BEGIN}\n{tables}{END}{after}")


def main() -> int:
    """Measure, print; 1 where a bar is not met."""
    parser = argparse.ArgumentParser(prog="python benchmarks/engines", description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--quick", action="store_true", help="does it run? the figures say little")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    parser.add_argument(
        "--read", type=Path, nargs="+", help="show what runs of parts wrote by --json; measure nothing"
    )
    how = parser.parse_args()
    if how.read:
        return shown(how, *joined(how.read))
    gguf = gguf_of("smollm2-gguf")
    if gguf is None or not Store().has("smollm2"):
        sys.exit("prepare the models first: ranvier models prepare smollm2 smollm2-gguf")
    console, found, before = Console(width=max(170, Console().width)), list[Figure](), os.getloadavg()[0]
    for part in PARTS:
        if how.only in (None, part):
            console.print(f"{part}; load {os.getloadavg()[0]:.1f}", style="dim")
            found += measured(part, gguf, quick=how.quick)
    return shown(how, described(f"{before:.1f} and {os.getloadavg()[0]:.1f}"), found)


def joined(files: Sequence[Path]) -> tuple[str, list[Figure]]:
    """What several runs found."""
    runs = [json.loads(file.read_text()) for file in files]
    figures = [
        {key: value for key, value in one.items() if key != "met"} for run in runs for one in run["figures"]
    ]
    return "\n\n".join(dict.fromkeys(run["machine"] for run in runs)), [Figure(**one) for one in figures]


def shown(how: argparse.Namespace, machine: str, found: Sequence[Figure]) -> int:
    """Print the table, write what is asked for."""
    console = Console(width=max(170, Console().width))
    table = Table(*HEAD)
    for figure in found:
        table.add_row(*figure.cells)
    console.print(table)
    console.print(machine, highlight=False)
    if how.json:
        kept = [{**asdict(figure), "met": figure.met} for figure in found]
        how.json.write_text(json.dumps({"machine": machine, "figures": kept}, indent=1) + "\n")
    if how.docs:
        replace(how.docs, f"{machine}\n\n{markdown(found)}")
    return int(any(figure.met is False for figure in found))


if __name__ == "__main__":
    sys.exit(main())
