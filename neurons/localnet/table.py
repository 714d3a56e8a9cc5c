"""The live table: who answers, who is believed, who is paid."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ranvier.chain import RAO
from ranvier.neurons.localnet.cast import Kind
from ranvier.neurons.localnet.report import MinerRow, NetworkReport, SubnetReport, ValidatorRow

STYLES: Final = {
    Kind.VALIDATOR: "cyan",
    Kind.SELF_DEALER: "red",
    Kind.HONEST: "green",
    Kind.SLOW: "green",
    Kind.WEAK: "green",
    Kind.RELAY: "red",
    Kind.FREE: "red",
    Kind.CHEAPER: "yellow",
    Kind.PET: "red",
}


def render(report: NetworkReport, status: str) -> RenderableType:
    """The whole screen: a status line, then miners and validators of each subnet."""
    head = Text.assemble(
        ("ranvier localnet", "bold"), f"  block {report.block}  seed {report.seed}  ", (status, "dim")
    )
    return Group(head, *(_subnet(subnet) for subnet in report.subnets))


def _subnet(subnet: SubnetReport) -> RenderableType:
    title = f"[bold]{subnet.name}[/]  netuid {subnet.netuid}  paid epochs {subnet.epochs}"
    return Panel(
        Group(_miners(subnet.miners), _validators(subnet.validators)), title=title, title_align="left"
    )


def _miners(rows: tuple[MinerRow, ...]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim", expand=True)
    table.add_column("miner", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for heading in ("asked", "answered", "verified", "score", "incentive", "earned \u03c4", "latency s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last verdict", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(
            row.name,
            Text(str(row.kind), STYLES[row.kind]),
            str(row.asked),
            str(row.answered),
            str(row.verified),
            f"{row.score:.3f}",
            f"{row.incentive:.3f}",
            f"{row.earned / RAO:.4f}",
            "" if row.latency is None else f"{row.latency:.2f}",
            Text(row.reason, "dim"),
        )
    return table


def _validators(rows: tuple[ValidatorRow, ...]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("validator", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for heading in (
        "rounds",
        "stake \u03c4",
        "from consensus",
        "dividends",
        "earned \u03c4",
        "per 1000 \u03c4",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            Text(str(row.kind), STYLES[row.kind]),
            str(row.rounds),
            f"{row.stake / RAO:,.0f}",
            "" if row.distance is None else f"{row.distance:.3f}",
            f"{row.dividends:.3f}",
            f"{row.earned / RAO:.4f}",
            f"{1000 * row.yield_per_stake:.4f}",
        )
    return table
