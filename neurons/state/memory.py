"""A subnet's own state in the validator's database."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from ranvier.neurons.state.database import Database


class StoredMemory:
    """`ranvier.subnets.Memory`: what is put is kept aside until the round is acknowledged, then written with it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[tuple[str, str], str] = {}

    def get(self, hotkey: str, key: str) -> Any:
        """The value put last, None where there is none."""
        text = self._pending.get((hotkey, key))
        if text is None:
            found = self._database.rows("SELECT value FROM memory WHERE hotkey = ? AND key = ?", hotkey, key)
            text = str(found[0][0]) if found else "null"
        return json.loads(text)

    def put(self, hotkey: str, key: str, value: Any) -> None:
        """Store JSON; raises ValueError or TypeError for what JSON cannot hold."""
        self._pending[hotkey, key] = json.dumps(value, allow_nan=False)

    def discard(self) -> None:
        """Forget what was put since the last acknowledged round."""
        self._pending.clear()

    def drop(self, hotkeys: Collection[str]) -> None:
        """Forget what was put of some hotkeys since the last acknowledged round."""
        for place in [place for place in self._pending if place[0] in hotkeys]:
            del self._pending[place]

    def write(self) -> None:
        """Write what is pending; call it inside the round's transaction, and `discard` after it."""
        for (hotkey, key), text in self._pending.items():
            self._database.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", hotkey, key, text)

    def forget(self, hotkey: str) -> None:
        """Drop everything of a hotkey that left; inside a transaction."""
        self._database.execute("DELETE FROM memory WHERE hotkey = ?", hotkey)
