"""What accounts and subnets were like: points by block in a chain's file, read page by page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from ranvier.chain.errors import StateUnusable
from ranvier.chain.explorer import AccountPoint, SubnetPoint
from ranvier.chain.models import Epoch, EpochRow
from ranvier.chain.pages import MOST_ROWS, Page
from ranvier.chain.steps import EpochRecord

SCHEMA: Final = """
CREATE TABLE epoch (netuid INTEGER, block INTEGER, uid INTEGER, hotkey TEXT NOT NULL, incentive INTEGER NOT NULL,
    dividends INTEGER NOT NULL, server INTEGER NOT NULL, validator INTEGER NOT NULL, burned INTEGER NOT NULL,
    PRIMARY KEY (netuid, block, uid)) WITHOUT ROWID;
CREATE INDEX epoch_age ON epoch (block);
CREATE TABLE account (coldkey TEXT, block INTEGER, free INTEGER NOT NULL, PRIMARY KEY (coldkey, block)) WITHOUT ROWID;
CREATE TABLE holding (coldkey TEXT, netuid INTEGER, hotkey TEXT, block INTEGER, rao INTEGER NOT NULL,
    PRIMARY KEY (coldkey, netuid, hotkey, block)) WITHOUT ROWID;
CREATE TABLE price (block INTEGER PRIMARY KEY, tao TEXT NOT NULL);
CREATE TABLE point (netuid INTEGER, block INTEGER, burn TEXT NOT NULL, difficulty TEXT NOT NULL,
    recycled INTEGER NOT NULL, share REAL NOT NULL, neurons INTEGER NOT NULL, alpha_price REAL,
    PRIMARY KEY (netuid, block)) WITHOUT ROWID;
"""
TAO: Final = 0
"""The netuid under which stakes of TAO are kept."""
_AGEING: Final = (("account", "coldkey"), ("holding", "coldkey, netuid, hotkey"))
"""Tables of which the newest row of each key always stays, as what later ones add to."""
Query = Callable[..., list[Any]]


def write(
    db: sqlite3.Connection,
    block: int,
    records: Mapping[str, str | None],
    epochs: Iterable[EpochRecord],
    points: Mapping[int, SubnetPoint],
    prices: Mapping[int, float],
) -> None:
    """Take in what a block changed; within its transaction."""
    free, held = list[tuple[str, int, int]](), list[tuple[str, int, str, int, int]]()
    for name, value in records.items():
        kind, _, rest = name.partition("/")
        if kind == "balance":
            free.append((rest, block, int(value or 0)))
        elif kind == "stake":
            hotkey, _, coldkey = rest.partition("/")
            held.append((coldkey, TAO, hotkey, block, int(value or 0)))
        elif kind == "subnet" and (alpha := alpha_of(rest)) is not None:
            netuid, hotkey, coldkey = alpha
            held.append((coldkey, netuid, hotkey, block, int(value or 0)))
    db.executemany("INSERT OR REPLACE INTO account VALUES (?, ?, ?)", free)
    db.executemany("INSERT OR REPLACE INTO holding VALUES (?, ?, ?, ?, ?)", held)
    if prices:
        db.execute("INSERT INTO price VALUES (?, ?)", (block, json.dumps(prices)))
    db.executemany(
        "INSERT INTO point VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            # Prices are u64, SQLite's integers end at 2**63 - 1.
            (netuid, p.block, str(p.burn), str(p.difficulty), p.recycled, p.share, p.neurons, p.alpha_price)
            for netuid, p in points.items()
        ],
    )
    db.executemany("INSERT INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _epoch_rows(block, epochs))


def alpha_of(path: str) -> tuple[int, str, str] | None:
    """(netuid, hotkey, coldkey) of the record of a stake of alpha, by what follows "subnet/"; None for others."""
    netuid, _, rest = path.partition("/")
    part, _, pair = rest.partition("/")
    if part != "alpha":
        return None
    hotkey, _, coldkey = pair.partition("/")
    return int(netuid), hotkey, coldkey


def _epoch_rows(block: int, epochs: Iterable[EpochRecord]) -> list[tuple[Any, ...]]:
    return [
        (
            *(e.netuid, block, r.uid, r.hotkey, r.incentive, r.dividends),
            *(r.server_emission, r.validator_emission, r.burned),
        )
        for e in epochs
        for r in e.rows
    ]


def sweep(db: sqlite3.Connection, before: int) -> None:
    """Old points go; of each account and price the newest of them stays, as what later ones add to."""
    db.execute("DELETE FROM point WHERE block < ?", (before,))
    db.execute(
        "DELETE FROM price WHERE block < (SELECT max(block) FROM price WHERE block < ?)",
        (before,),
    )
    for table, keys in _AGEING:
        db.execute(
            f"DELETE FROM {table} WHERE block < ? AND ({keys}, block) NOT IN"  # noqa: S608
            f" (SELECT {keys}, max(block) FROM {table} WHERE block < ? GROUP BY {keys})",
            (before, before),
        )


@dataclass(frozen=True, slots=True)
class History:
    """Reads; every method returns what is after block `since`, `limit` blocks of it at most."""

    query: Query

    def epochs(self, netuid: int, since: int, limit: int) -> Page[Epoch]:
        """Epochs that ran on subnets of a number."""
        text = "SELECT block, count(*) FROM epoch WHERE netuid = ? AND block > ? GROUP BY block ORDER BY block LIMIT ?"
        sizes = self.query(text, netuid, since, limit + 1)
        blocks, following = _cut([block for block, _ in sizes], _fitting(sizes, limit))
        if not blocks:
            return Page((), None)
        text = (
            "SELECT block, uid, hotkey, incentive, dividends, server, validator, burned FROM epoch"
            " WHERE netuid = ? AND block BETWEEN ? AND ? ORDER BY block, uid"
        )
        rows: dict[int, list[EpochRow]] = {}
        for block, *row in self.query(text, netuid, blocks[0], blocks[-1]):
            rows.setdefault(block, []).append(EpochRow(*row))
        return Page(tuple(Epoch(block, tuple(found)) for block, found in rows.items()), following)

    def points(self, netuid: int, since: int, limit: int) -> Page[SubnetPoint]:
        """Subnets of a number after blocks with a registration or an epoch."""
        text = (
            "SELECT block, burn, difficulty, recycled, share, neurons, alpha_price FROM point"
            " WHERE netuid = ? AND block > ? ORDER BY block LIMIT ?"
        )
        found = [
            SubnetPoint(number, int(burn), int(difficulty), *rest)
            for number, burn, difficulty, *rest in self.query(text, netuid, since, limit + 1)
        ]
        _, following = _cut([point.block for point in found], limit)
        return Page(tuple(found[:limit]), following)

    def account(self, coldkey: str, since: int, limit: int) -> Page[AccountPoint]:
        """An account after each block that changed it."""
        text = (
            "SELECT block FROM account WHERE coldkey = ? AND block > ? UNION"
            " SELECT block FROM holding WHERE coldkey = ? AND block > ? ORDER BY block LIMIT ?"
        )
        found = self.query(text, coldkey, since, coldkey, since, limit + 1)
        blocks, following = _cut([block for (block,) in found], limit)
        if not blocks:
            return Page((), None)
        free, stakes = self._balances(coldkey, since, blocks[-1]), self._stakes(coldkey, since, blocks[-1])
        held, balance, points = dict[tuple[int, str], int](), 0, list[AccountPoint]()
        for block in sorted({*free, *stakes, *blocks}):
            balance = free.get(block, balance)
            held.update(stakes.get(block, {}))
            if block > since:
                points.append(self._account_point(block, balance, held))
        return Page(tuple(points), following)

    def _balances(self, coldkey: str, since: int, last: int) -> dict[int, int]:
        """Free rao by block, with the newest that is not after `since`."""
        text = (
            "SELECT block, free FROM account WHERE coldkey = ? AND block <= ? AND block >="
            " ifnull((SELECT max(block) FROM account WHERE coldkey = ? AND block <= ?), 0)"
        )
        return dict(self.query(text, coldkey, last, coldkey, since))

    def _stakes(self, coldkey: str, since: int, last: int) -> dict[int, dict[tuple[int, str], int]]:
        """Stakes that changed by block, with the newest of each that are not after `since`."""
        before = "SELECT netuid, hotkey, rao, max(block) FROM holding WHERE coldkey = ? AND block <= ? GROUP BY 1, 2"
        after = (
            "SELECT netuid, hotkey, rao, block FROM holding WHERE coldkey = ? AND block > ? AND block <= ?"
        )
        found: dict[int, dict[tuple[int, str], int]] = {}
        for netuid, hotkey, rao, block in (
            *self.query(before, coldkey, since),
            *self.query(after, coldkey, since, last),
        ):
            found.setdefault(block, {})[netuid, hotkey] = rao
        return found

    def _account_point(self, block: int, free: int, held: Mapping[tuple[int, str], int]) -> AccountPoint:
        sums: dict[int, int] = {}
        for (netuid, _), rao in sorted(held.items()):
            if rao:
                sums[netuid] = sums.get(netuid, 0) + rao
        staked = sums.pop(TAO, 0)
        value = sum(int(rao * price) for rao, price in self._priced(sums, block)) if sums else 0
        return AccountPoint(block, free, staked, sums, value)

    def _priced(self, sums: Mapping[int, int], block: int) -> list[tuple[int, float]]:
        """Amounts of alpha with the prices of the newest block that is not after this one and in which any moved.

        What stayed of an account from before all prices that are kept is valued at the oldest of them.
        """
        found = self.query(
            "SELECT tao FROM price WHERE block = ifnull((SELECT max(block) FROM price WHERE block <= ?),"
            " (SELECT min(block) FROM price))",
            block,
        )
        prices: dict[str, float] = json.loads(found[0][0]) if found else {}
        missing = [netuid for netuid in sums if str(netuid) not in prices]
        if missing:
            raise StateUnusable(
                f"prices of alpha {missing} at block {block} are missing from the chain's file; restore a copy"
            )
        return [(rao, prices[str(netuid)]) for netuid, rao in sums.items()]


def _fitting(sizes: Sequence[tuple[int, int]], limit: int) -> int:
    """How many of the first epochs have no more rows than a reply may have; at least one."""
    rows = list(accumulate(size for _, size in sizes[:limit]))
    return max(1, sum(so_far <= MOST_ROWS for so_far in rows))


def _cut(blocks: Sequence[int], limit: int) -> tuple[Sequence[int], int | None]:
    """The first `limit` blocks, and where to go on where there are more."""
    return (blocks, None) if len(blocks) <= limit else (blocks[:limit], blocks[limit - 1])
