"""Believing nothing: what every subnet verifies with. Numbers in, verdicts out; the engines compute the numbers."""

from ranvier.subnets.verification.calibration import Calibration, CalibrationUnfit, read_calibration
from ranvier.subnets.verification.distances import Distances, read_distances, shipped_distances
from ranvier.subnets.verification.endings import ending_fault
from ranvier.subnets.verification.links import draw_links, least_penalty
from ranvier.subnets.verification.logprobs import LogprobCheck
from ranvier.subnets.verification.merkle import opens, path_of, root_of
from ranvier.subnets.verification.pooled import MinerTests
from ranvier.subnets.verification.sequential import Bounds, SequentialTest
from ranvier.subnets.verification.tokens import Place, Seen, counted, place, seen
from ranvier.subnets.verification.vectors import embedding_worth, label_worth, probability_worth

__all__ = [
    "Bounds",
    "Calibration",
    "CalibrationUnfit",
    "Distances",
    "LogprobCheck",
    "MinerTests",
    "Place",
    "Seen",
    "SequentialTest",
    "counted",
    "draw_links",
    "embedding_worth",
    "ending_fault",
    "label_worth",
    "least_penalty",
    "opens",
    "path_of",
    "place",
    "probability_worth",
    "read_calibration",
    "read_distances",
    "root_of",
    "seen",
    "shipped_distances",
]
