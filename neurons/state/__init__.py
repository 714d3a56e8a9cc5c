"""What a validator must not forget: SQLite (WAL), one writer, one transaction for each acknowledged round."""

from __future__ import annotations

from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Attempt, Journal, Vector, VectorStatus
from ranvier.neurons.state.memory import StoredMemory
from ranvier.neurons.state.scores import Line, Scores

__all__ = ["Attempt", "Database", "Journal", "Line", "Scores", "StoredMemory", "Vector", "VectorStatus"]
