"""Running a subnet's scoring: what one miner's bytes break costs that miner, what our engine breaks costs nobody."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, TypeVar

from ranvier.engines.errors import EngineError, EngineRefused
from ranvier.protocol import Synapse
from ranvier.subnets.subnet import Answer, Round, Subnet, Verdict

S = TypeVar("S", bound=Synapse)
CONTENT: Final = (400, 413, 422)
"""An engine's statuses that say: this request, whoever asks."""
_log = logging.getLogger(__name__)


async def judge(subnet: Subnet[S], round: Round, answers: Sequence[Answer[S]]) -> list[Verdict]:
    """One verdict for each answer, in order. Never raises for what an answer holds.

    A batch that breaks is judged again one by one. An engine that is gone or busy scores nobody; one that turns
    away single answers while it serves others was broken by those.
    """
    if not answers:
        return []
    try:
        return _bounded(await subnet.score(round, answers), len(answers))
    except EngineError as error:
        if not _about_content(error):
            return [_unjudged(error)] * len(answers)
        _log.warning("the engine turned a batch of %s away (%s); one by one", subnet.name, error)
    except Exception as error:  # noqa: BLE001  hostile bytes may break a scorer in any way: find out whose they are
        _log.warning(
            "scoring %s in a batch failed (%s: %s); one by one", subnet.name, type(error).__name__, error
        )
    return _attributed([await _alone(subnet, round, answer) for answer in answers])


async def _alone(subnet: Subnet[S], round: Round, answer: Answer[S]) -> Verdict | EngineError:
    try:
        return _bounded(await subnet.score(round, [answer]), 1)[0]
    except EngineError as error:
        return error
    except Exception as error:  # noqa: BLE001  this miner's bytes broke the scorer: it was asked and is not verified
        return _unreadable(error)


def _attributed(found: Sequence[Verdict | EngineError]) -> list[Verdict]:
    """Engine errors become zeros where they are about content and the engine served somebody else."""
    served = any(isinstance(one, Verdict) for one in found)
    return [
        one
        if isinstance(one, Verdict)
        else (_unreadable(one) if served and _about_content(one) else _unjudged(one))
        for one in found
    ]


def _about_content(error: EngineError) -> bool:
    return isinstance(error, EngineRefused) and error.status in CONTENT


def _unreadable(error: Exception) -> Verdict:
    return Verdict(0.0, f"unreadable: {type(error).__name__}: {error}"[:200])


def _unjudged(error: EngineError) -> Verdict:
    return Verdict(None, f"not judged: {error}"[:200])


def _bounded(verdicts: Sequence[Verdict], count: int) -> list[Verdict]:
    if len(verdicts) != count:
        raise ValueError(f"{len(verdicts)} verdicts for {count} answers")
    for verdict in verdicts:
        if verdict.value is not None and not 0 <= verdict.value <= 1:
            raise ValueError(f"a verdict of {verdict.value} lies outside 0..1")
    return list(verdicts)
