"""The tables of a validator's state, and how files of older releases become such files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

VERSION: Final = 2
SCHEMA: Final = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE scores (
    hotkey TEXT PRIMARY KEY, uid INTEGER NOT NULL, registered_at INTEGER NOT NULL, average REAL NOT NULL,
    rounds INTEGER NOT NULL, passed INTEGER NOT NULL, caught INTEGER NOT NULL, penalty INTEGER NOT NULL,
    suspicion REAL NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE memory (
    hotkey TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (hotkey, key)
) STRICT;
CREATE TABLE rounds (
    number INTEGER PRIMARY KEY, block INTEGER NOT NULL, block_hash TEXT NOT NULL, epoch INTEGER NOT NULL,
    status TEXT NOT NULL, report TEXT
) STRICT;
CREATE TABLE secrets (
    epoch INTEGER PRIMARY KEY, commitment TEXT NOT NULL, secret BLOB NOT NULL, revealed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, network TEXT NOT NULL, netuid INTEGER NOT NULL, epoch INTEGER NOT NULL,
    hotkey TEXT NOT NULL, weights TEXT NOT NULL, block INTEGER NOT NULL, status TEXT NOT NULL,
    places TEXT NOT NULL DEFAULT '{}', form TEXT NOT NULL DEFAULT 'open', promise TEXT
) STRICT;
CREATE UNIQUE INDEX one_vector ON vectors (network, netuid, epoch, hotkey) WHERE status != 'refused';
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, vector INTEGER NOT NULL REFERENCES vectors (id), block INTEGER NOT NULL,
    outcome TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
"""
MIGRATIONS: Final[Mapping[int, str]] = {
    2: """
    ALTER TABLE vectors ADD COLUMN places TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE vectors ADD COLUMN form TEXT NOT NULL DEFAULT 'open';
    ALTER TABLE vectors ADD COLUMN promise TEXT;
    ALTER TABLE scores ADD COLUMN suspicion REAL NOT NULL DEFAULT 0;
    """,
}
"""By the version that they lead to."""
