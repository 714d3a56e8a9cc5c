"""Believing nothing: what every subnet verifies with. Numbers in, verdicts out; the engines compute the numbers."""

from ranvier.subnets.verification.calibration import CalibrationUnfit, read_calibration
from ranvier.subnets.verification.endings import ending_fault
from ranvier.subnets.verification.logprobs import LogprobCheck
from ranvier.subnets.verification.sequential import Bounds, SequentialTest
from ranvier.subnets.verification.tokens import Calibration, counted, places
from ranvier.subnets.verification.vectors import embedding_worth, label_worth, probability_worth

__all__ = [
    "Bounds",
    "Calibration",
    "CalibrationUnfit",
    "LogprobCheck",
    "SequentialTest",
    "counted",
    "embedding_worth",
    "ending_fault",
    "label_worth",
    "places",
    "probability_worth",
    "read_calibration",
]
