"""Arrays that take long to compute, kept in a folder so that an interrupted measurement goes on where it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class Kept:
    """By name, one file each; without a folder nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def get(self, name: str, make: Callable[[], Any]) -> npt.NDArray[Any]:
        """The array of that name, made now if it is not there. Raises OSError."""
        if self._folder is None:
            return np.asarray(make())
        file = self._folder / f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.npy"
        if not file.exists():
            made, half = np.asarray(make()), file.with_suffix(".half")
            self._folder.mkdir(parents=True, exist_ok=True)
            with half.open("wb") as sink:
                np.save(sink, made, allow_pickle=False)
            half.replace(file)
        found: npt.NDArray[Any] = np.load(file, allow_pickle=False)
        return found
