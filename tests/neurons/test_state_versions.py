"""Files of every released version are taken up; a copy of the old one is kept; newer ones are refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ranvier.neurons.errors import StateError
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Form, IntentStatus, Journal, Slot
from ranvier.neurons.state.schema import MIGRATIONS, VERSION
from ranvier.neurons.state.scores import Scores

DATA = Path(__file__).parent / "data"
RELEASED = sorted(int(path.stem.removeprefix("state-v")) for path in DATA.glob("state-v*.sql"))


def write(path: Path, version: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript((DATA / f"state-v{version}.sql").read_text())
    connection.close()


def tables(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
        return [
            (name, column[1]) for name in names for column in connection.execute(f"PRAGMA table_info({name})")
        ]
    finally:
        connection.close()


def test_every_version_below_the_present_one_has_a_file_and_a_migration() -> None:
    assert list(range(1, VERSION)) == RELEASED
    assert sorted(MIGRATIONS) == list(range(2, VERSION + 1))


@pytest.mark.parametrize("version", RELEASED)
def test_a_file_of_an_older_release_becomes_a_present_one(tmp_path: Path, version: int) -> None:
    path = tmp_path / "state.sqlite"
    write(path, version)
    with Database(path) as database:
        assert database.fact("owner") == "local 1 me"
        assert Scores(database).lines()["a"].registered_at == 7
        journal = Journal(database)
        landed = journal.current(Slot("local", 1, 12, "me"))
        waiting = journal.current(Slot("local", 1, 25, "me"))
        assert landed is not None
        assert waiting is not None
        assert (landed.status, landed.form) == (IntentStatus.LANDED, Form.OPEN)
        assert landed.vector.values == {"a": 65535, "b": 7}
        assert waiting.status is IntentStatus.INTENDED
        assert [one.outcome for one in journal.attempts(landed.slot)] == ["included", "landed"]
    Database(tmp_path / "fresh.sqlite").close()
    assert tables(path) == tables(tmp_path / "fresh.sqlite")


@pytest.mark.parametrize("version", RELEASED)
def test_the_old_file_is_kept_once(tmp_path: Path, version: int) -> None:
    path = tmp_path / "state.sqlite"
    write(path, version)
    Database(path).close()
    copy = tmp_path / f"state.sqlite.v{version}"
    kept = copy.read_bytes()
    assert tables(copy) != tables(path)
    Database(path).close()
    assert copy.read_bytes() == kept
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_file_of_a_later_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StateError, match=f"version {VERSION + 1}, and this release knows up to {VERSION}"):
        Database(path)
    assert path.read_bytes() == before
