"""A report as a table for a terminal."""

from __future__ import annotations

from rich.table import Table

from ranvier.testing.report import TAO, ParticipantRow, Report


def table(report: Report) -> Table:
    """One line for each participant, the validators first as they sit."""
    made = Table(
        title=f"{report.subnet}: {report.rounds} rounds, {report.blocks} blocks, {report.epochs} paid epochs",
        caption=_disagreement(report),
    )
    made.add_column("participant")
    made.add_column("kind")
    for name in ("pay TAO", "of honest", "CPU s", "asked", "verified"):
        made.add_column(name, justify="right")
    made.add_column("most verdicts")
    for row in report.participants:
        made.add_row(*_cells(row))
    return made


def _cells(row: ParticipantRow) -> tuple[str, ...]:
    kind = str(row.kind) + "".join(f"; {fault}" for fault in row.faults)
    if row.kind.validates:
        landed = f"{row.weights_landed} weights landed, {row.weights_missed} missed"
        return row.name, kind, f"{row.dividends / TAO:.3f}", "", "", "", "", f"{row.rounds} rounds, {landed}"
    share = "" if row.share is None else f"{row.share:.3f}"
    most = sorted(row.verdicts, key=lambda one: -one.count)[:2]
    said = ", ".join(f"{one.count} x {one.reason}" for one in most)
    figures = f"{row.pay / TAO:.3f}", share, f"{row.cpu:.3f}", str(row.asked), str(row.verified)
    return row.name, kind, *figures, said


def _disagreement(report: Report) -> str:
    pairs = report.disagreements
    if not pairs:
        return "no two validators had weights to compare"
    worst = max(pairs, key=lambda pair: pair.mean)
    return f"validators disagree by {worst.mean:.3f} at most in the mean ({worst.first}, {worst.second})"
