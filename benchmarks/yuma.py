"""The exact epoch beside a plain float64 one: CPU time, and what floats get wrong.

Run: python benchmarks/yuma.py [--repeats N] [--seed N] [--json FILE]

Both start from the same `EpochInput` (sparse rows), use 64 validators and produce what a chain stores.
`differ` is the share of stored values that are not equal (u16 vectors; bonds), `worst` the largest distance
(u16 units; rao per TAO handed out), after one epoch and after `EPOCHS` epochs in a row whose bonds pass
through their stored form. The largest u16 distances are trusts of miners with next to no weight (a ratio of
two tiny sums); the largest distances in rao belong to the largest validators, whose dividends are sums of
thousands of truncated products.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.sparse import SparseRows
from ranvier.chain.yuma import epoch

VALIDATORS = 64
EPOCHS = 8
TAO = 10**9
SIZES = ((256, 1.0), (256, 0.1), (1024, 1.0), (1024, 0.1), (4096, 1.0), (4096, 0.1))
VECTORS = ("consensus", "incentive", "dividends", "validator_trust", "trust")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What both forms store: u16 vectors by name, rao per uid, bonds (uid, uid) as u16."""

    vectors: dict[str, npt.NDArray[np.int64]]
    emission: npt.NDArray[np.int64]
    bonds: npt.NDArray[np.int64]
    rows: SparseRows


@dataclass(frozen=True)
class Row:
    """One line of the table. Times are the least CPU milliseconds of one epoch."""

    neurons: int
    density: float
    exact_ms: float
    float_ms: float
    u16_differ: float
    u16_worst: int
    bonds_differ: float
    rao_worst: int
    rao_worst_later: int


def subnet(n: int, density: float, seed: int) -> EpochInput:
    """A random subnet: log-normal stakes; weights around a common opinion of `density` of the uids."""
    rng = np.random.default_rng(seed)
    stake = np.zeros(n)
    stake[:VALIDATORS] = rng.lognormal(0, 1, VALIDATORS) * 1e13
    opinion = rng.random(n) * (rng.random(n) < density)
    weights = np.clip(opinion * rng.normal(1, 0.2, (VALIDATORS, n)), 0, None)
    weights = (weights / weights.max(axis=1, keepdims=True) * 65535).astype(np.uint16)
    return EpochInput(
        variant="2024",
        block=1000,
        last_update=(900,) * n,
        registered_at=(10,) * n,
        stake=[int(amount) for amount in stake],
        permits=[uid < VALIDATORS for uid in range(n)],
        weights=SparseRows.from_dense(np.arange(VALIDATORS), weights),
        bonds=SparseRows.empty(),
        emission=TAO,
        params=YumaParams(max_allowed_validators=VALIDATORS),
    )


def exact(given: EpochInput) -> Outcome:
    """Ours, as arrays."""
    got = epoch(given)
    vectors = {name: np.array(getattr(got, name), dtype=np.int64) for name in VECTORS}
    return Outcome(vectors, np.array(got.emission, dtype=np.int64), _square(got.bonds, given.size), got.bonds)


def plain(given: EpochInput) -> Outcome:
    """The rules of 2024 in plain float64, for validators that are all active and permitted."""
    rows = np.flatnonzero(given.permitted)
    stake = np.array(given.stake, dtype=np.float64)[rows]
    voice = stake / stake.sum()
    weights = given.weights.dense(rows, given.size).astype(np.float64)
    weights[np.arange(len(rows)), rows] = 0
    weights = _normal(weights, 1)
    before = voice @ weights
    order = np.argsort(weights, axis=0)
    reached = np.cumsum(voice[order], axis=0) > 1 - given.params.kappa / 65535
    consensus = np.take_along_axis(weights, order, 0)[reached.argmax(axis=0), np.arange(given.size)]
    clipped = np.minimum(weights, consensus)
    ranks = voice @ clipped
    incentive = ranks / ranks.sum()
    alpha = 1 - given.params.bonds_moving_average / 1e6
    held = _normal(given.bonds.dense(rows, given.size).astype(np.float64), 0)
    bonds = _normal(alpha * _normal(clipped * voice[:, None], 0) + (1 - alpha) * held, 0)
    dividends = np.zeros(given.size)
    dividends[rows] = bonds @ incentive
    dividends /= dividends.sum()
    peak = bonds.max(axis=0)
    stored = _u16(np.divide(bonds, peak, out=np.zeros_like(bonds), where=peak > 0))
    trust = np.divide(ranks, before, out=np.zeros_like(ranks), where=before > 0)
    seen = np.zeros(given.size)
    seen[rows] = clipped.sum(axis=1)
    values = (consensus, incentive, dividends, seen, trust)
    kept = SparseRows.from_dense(rows, stored.astype(np.uint16))
    emission = np.floor((incentive + dividends) / 2 * given.emission).astype(np.int64)
    vectors = {name: _u16(value) for name, value in zip(VECTORS, values, strict=True)}
    return Outcome(vectors, emission, _square(kept, given.size), kept)


def _normal(values: Floats, axis: int) -> Floats:
    total = values.sum(axis=axis, keepdims=True)
    shares: Floats = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    return shares


def _u16(values: Floats) -> npt.NDArray[np.int64]:
    stored: npt.NDArray[np.int64] = np.floor(np.minimum(values, 1) * 65535).astype(np.int64)
    return stored


def _square(bonds: SparseRows, size: int) -> npt.NDArray[np.int64]:
    return bonds.dense(np.arange(VALIDATORS), size).astype(np.int64)


def measure(n: int, density: float, repeats: int, seed: int) -> Row:
    """Time both forms on the second epoch (bonds present) and compare them."""
    first = subnet(n, density, seed)
    given = replace(first, bonds=exact(first).rows)
    ours, theirs = exact(given), plain(given)
    apart = [np.abs(ours.vectors[name] - theirs.vectors[name]) for name in VECTORS]
    listed = max(1, int(np.count_nonzero(ours.bonds)))
    drift = _drift(first)
    return Row(
        neurons=n,
        density=density,
        exact_ms=_least(lambda: epoch(given), repeats),
        float_ms=_least(lambda: plain(given), repeats),
        u16_differ=float(np.mean([values != 0 for values in apart])),
        u16_worst=int(max(values.max() for values in apart)),
        bonds_differ=np.count_nonzero(ours.bonds != theirs.bonds) / listed,
        rao_worst=int(np.abs(ours.emission - theirs.emission).max()),
        rao_worst_later=drift,
    )


def _drift(first: EpochInput) -> int:
    """The largest distance in rao after EPOCHS epochs, each form on bonds of its own.

    From the second epoch on every second validator weighs itself only, so its bonds fade, the case in which
    the chain's truncations add up.
    """
    ours, theirs = exact(first), plain(first)
    table = first.weights.to_dict()
    faded = SparseRows.from_dict({uid: {uid: 65535} if uid % 2 else row for uid, row in table.items()})
    for _ in range(EPOCHS):
        ours = exact(replace(first, weights=faded, bonds=ours.rows))
        theirs = plain(replace(first, weights=faded, bonds=theirs.rows))
    return int(np.abs(ours.emission - theirs.emission).max())


def _least(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1000


def main() -> None:
    """Print the table; write the same figures where --json says."""
    parser = argparse.ArgumentParser(description="Exact Yuma epoch against a float64 one, 64 validators.")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(n, density, options.repeats, options.seed) for n, density in SIZES]
    title = f"Yuma epoch, {VALIDATORS} validators; numpy {np.__version__}, Python {platform.python_version()}"
    table = Table(title=title)
    heads = ("neurons", "density", "exact ms", "float64 ms", "u16 differ", "worst", "bonds differ")
    for head in (*heads, "rao/TAO off", f"after {EPOCHS} more"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(
            str(row.neurons),
            f"{row.density:g}",
            f"{row.exact_ms:.2f}",
            f"{row.float_ms:.2f}",
            f"{row.u16_differ:.2%}",
            str(row.u16_worst),
            f"{row.bonds_differ:.2%}",
            str(row.rao_worst),
            str(row.rao_worst_later),
        )
    Console(width=110).print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
