"""How far honest vectors lie from the verifier's, and cheaper ones: the data that `vectors` judges by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ranvier.subnets.verification.calibration import CalibrationUnfit

ROOM: Final = 2.0
"""The limit is so many times the largest honest distance that was seen."""
LEAST: Final = 0.15
"""Share of a cheap way's rows beyond the limit below which it is not told from honest work: an answer of 16 rows would
pass more than one time in fourteen."""
Rows = Sequence[Sequence[float]]


class Spread(BaseModel):
    """Distances of the rows of one way of computing from the verifier's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    least: float
    median: float
    q99: float
    largest: float
    beyond: float
    """Share of rows beyond the limit."""

    @classmethod
    def of(cls, away: np.ndarray, limit: float) -> Spread:
        """Of measured distances."""
        return cls(
            rows=len(away),
            least=float(away.min()),
            median=float(np.median(away)),
            q99=float(np.quantile(away, 0.99)),
            largest=float(away.max()),
            beyond=float((away > limit).mean()),
        )


class Distances(BaseModel):
    """A calibration of one embedder or classifier: its limit and the measurements that it rests on.

    Distances are 1 - cosine for embeddings, total variation for probabilities. The limit follows from honest ways only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    kind: Literal["embed", "classify"]
    digest: str
    """Of the verifier's model, as its engine declares it: another model has other distances."""
    dtype: str
    device: str
    date: str
    versions: dict[str, str]
    limit: float
    honest: dict[str, Spread]
    cheap: dict[str, Spread]

    @model_validator(mode="after")
    def _rests_on_evidence(self) -> Distances:
        if not (self.honest and self.cheap):
            raise ValueError("honest and cheap name at least one way each")
        if self.limit < max(spread.largest for spread in self.honest.values()):
            raise ValueError("the limit is below an honest distance")
        return self

    @property
    def tie(self) -> float:
        """For labels: two rows of probabilities within the limit differ by no more between any two classes."""
        return 2 * self.limit

    @property
    def confused(self) -> tuple[str, ...]:
        """Cheap ways that are not told from honest ones."""
        return tuple(name for name, spread in self.cheap.items() if spread.beyond < LEAST)


def away(kind: str, given: Rows, own: Rows) -> np.ndarray:
    """The distance of each row."""
    theirs, ours = np.asarray(given, dtype=np.float64), np.asarray(own, dtype=np.float64)
    if kind == "classify":
        total: np.ndarray = np.abs(theirs - ours).sum(axis=1) / 2
        return total
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    apart: np.ndarray = 1 - (theirs * ours).sum(axis=1) / lengths
    return apart.clip(min=0.0)


def spreads(
    kind: str, own: Rows, honest: Mapping[str, Rows], cheap: Mapping[str, Rows]
) -> tuple[float, dict[str, Spread], dict[str, Spread]]:
    """The limit, and both kinds of ways measured against it."""
    far = {name: away(kind, rows, own) for name, rows in {**honest, **cheap}.items()}
    limit = ROOM * max(float(far[name].max()) for name in honest)
    told = {name: Spread.of(found, limit) for name, found in far.items()}
    return limit, {name: told[name] for name in honest}, {name: told[name] for name in cheap}


def read_distances(path: Path) -> Distances:
    """The calibration in a file. Raises `CalibrationUnfit`, also where a cheap way is not told from honest ones."""
    try:
        found = Distances.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CalibrationUnfit(path, f"it cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise CalibrationUnfit(path, f"{where}: {fault['msg']}" if where else fault["msg"]) from error
    if found.confused:
        raise CalibrationUnfit(path, f"its limit does not tell {', '.join(found.confused)} from honest work")
    return found


def shipped_distances(model: str) -> Distances:
    """That of a model which ships or is prepared (``minilm``, ``sentiment``, ``sentiment-finance``), on a CPU.

    Raises `CalibrationUnfit` for any other.
    """
    return read_distances(Path(str(files(__package__) / "distances" / f"{model}.json")))
