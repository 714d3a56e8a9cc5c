"""Which answers are verified: drawn after they came, from the secret; more for the suspect, fewer for the proven."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from ranvier.protocol import Synapse
from ranvier.subnets.subnet import Answer, Round

S = TypeVar("S", bound=Synapse)

PROBATION: Final = 8
"""Verified answers before a hotkey's rate may fall below 1."""
FLOOR: Final = 0.5
"""A long good record lowers the rate to this share of the subnet's, never to zero."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a hotkey: verified answers in a row since the last failure, and whether it was ever caught.

    ``suspicion``, from 0 to 1, is how near the evidence of its last verified answer came to proof.
    """

    passed: int = 0
    caught: bool = False
    suspicion: float = 0.0


def audit_rate(base: float, record: Record) -> float:
    """The chance that an answer is verified: 1 for new and for caught hotkeys, then falling from ``base``.

    It is never below the suspicion, so that evidence that begins to gather is followed up.
    """
    if record.caught or record.passed < PROBATION:
        return 1.0
    return max(base * max(FLOOR, PROBATION / record.passed), min(1.0, record.suspicion))


def least_penalty(base: float) -> int:
    """Rounds that a catch must cost: as many as a cheat with a long record is paid for, on average, before it."""
    return math.ceil(1 / (base * FLOOR))


def draw_audits(
    round: Round, answers: Sequence[Answer[S]], base: float, records: dict[str, Record]
) -> list[Answer[S]]:
    """The answers to be verified. Call it when all answers are in: the draw depends on what they are.

    The key mixes the epoch's secret with a digest of everything that was answered, so that neither a miner nor the
    validator knows the draw before the round ends.
    """
    chosen = []
    said = _digest(answers)
    for number, answer in enumerate(answers):
        hotkey = answer.task.peer.hotkey
        draw = round.random(hotkey, number, purpose=f"audit|{said}").random()
        if draw < audit_rate(base, records.get(hotkey, Record())):
            chosen.append(answer)
    return chosen


def _digest(answers: Sequence[Answer[S]]) -> str:
    """SHA-256 hex over hotkeys and replies, in order."""
    total = hashlib.sha256()
    for answer in answers:
        total.update(answer.task.peer.hotkey.encode() + hashlib.sha256(repr(answer.reply).encode()).digest())
    return total.hexdigest()
