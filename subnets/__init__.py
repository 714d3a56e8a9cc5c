"""Subnets: what is asked, how it is answered, how it is scored; and the rules that bind all of them."""

from __future__ import annotations

from ranvier.subnets.audit import Record, audit_rate, draw_audits
from ranvier.subnets.book import Entry, Result, ScoreBook
from ranvier.subnets.discover import load_miner, load_subnet, names
from ranvier.subnets.errors import BrokenPlugin, NotCommitted, SubnetError, UnknownSubnet
from ranvier.subnets.judge import judge
from ranvier.subnets.relay import Relay
from ranvier.subnets.secrets import EpochSecret, check_revealed
from ranvier.subnets.speed import banded, speed_bands
from ranvier.subnets.subnet import (
    Answer,
    Cheat,
    Context,
    EngineNeed,
    Memory,
    Miner,
    Peer,
    Round,
    Subnet,
    SubnetSettings,
    Task,
    Verdict,
    bound_seed,
)

__all__ = [
    "Answer",
    "BrokenPlugin",
    "Cheat",
    "Context",
    "EngineNeed",
    "Entry",
    "EpochSecret",
    "Memory",
    "Miner",
    "NotCommitted",
    "Peer",
    "Record",
    "Relay",
    "Result",
    "Round",
    "ScoreBook",
    "Subnet",
    "SubnetError",
    "SubnetSettings",
    "Task",
    "UnknownSubnet",
    "Verdict",
    "audit_rate",
    "banded",
    "bound_seed",
    "check_revealed",
    "draw_audits",
    "judge",
    "load_miner",
    "load_subnet",
    "names",
    "speed_bands",
]
