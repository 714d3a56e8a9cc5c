"""What a validator must not forget: SQLite (WAL), one writer, one transaction for each acknowledged round."""

from __future__ import annotations

from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Attempt, Intent, IntentStatus, Journal
from ranvier.neurons.state.memory import StoredMemory
from ranvier.neurons.state.scores import Line, Scores

__all__ = ["Attempt", "Database", "Intent", "IntentStatus", "Journal", "Line", "Scores", "StoredMemory"]
