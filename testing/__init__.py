"""A laboratory for subnets: a chain, validators, honest miners and cheats in one process, in simulated time."""

from __future__ import annotations

from ranvier.testing.errors import BadSetup, LabError, NodeFailed, NotOpen
from ranvier.testing.faults import ChainStops, Fault, Hang, Leave, Lie, Replace, Return
from ranvier.testing.lab import Lab
from ranvier.testing.report import Disagreement, ParticipantRow, Report, Verdicts

__all__ = [
    "BadSetup",
    "ChainStops",
    "Disagreement",
    "Fault",
    "Hang",
    "Lab",
    "LabError",
    "Leave",
    "Lie",
    "NodeFailed",
    "NotOpen",
    "ParticipantRow",
    "Replace",
    "Report",
    "Return",
    "Verdicts",
]
