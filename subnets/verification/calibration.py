"""Calibration files: read with a clear error, since a wrong one would pay cheats or convict the honest."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ranvier.subnets.errors import SubnetError
from ranvier.subnets.verification.tokens import Calibration


class CalibrationUnfit(SubnetError):
    """A file that is no calibration."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path, self.cause = path, cause
        super().__init__(f"{path} is no calibration: {cause}; make one with `ranvier models calibrate`")


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file. Raises `CalibrationUnfit`, also for counts that confuse honest work with cheats."""
    try:
        found = Calibration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CalibrationUnfit(path, f"it cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise CalibrationUnfit(path, f"{where}: {fault['msg']}" if where else fault["msg"]) from error
    if found.confused:
        raise CalibrationUnfit(path, f"its counts do not tell {', '.join(found.confused)} from the opposite")
    return found
