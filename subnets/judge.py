"""Running a subnet's scoring: what one miner's bytes break costs that miner, what our engine breaks costs nobody."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

from ranvier.engines.errors import EngineError
from ranvier.protocol import Synapse
from ranvier.subnets.subnet import Answer, Round, Subnet, Verdict

S = TypeVar("S", bound=Synapse)
_log = logging.getLogger(__name__)


async def judge(subnet: Subnet[S], round: Round, answers: Sequence[Answer[S]]) -> list[Verdict]:
    """One verdict for each answer, in order. Never raises for what an answer holds."""
    if not answers:
        return []
    try:
        return _bounded(await subnet.score(round, answers), len(answers))
    except EngineError as error:
        return [_unjudged(error)] * len(answers)
    except Exception as error:  # noqa: BLE001  hostile bytes may break a scorer in any way: find out whose they are
        _log.warning(
            "scoring %s in a batch failed (%s: %s); one by one", subnet.name, type(error).__name__, error
        )
    return [await _alone(subnet, round, answer) for answer in answers]


async def _alone(subnet: Subnet[S], round: Round, answer: Answer[S]) -> Verdict:
    try:
        return _bounded(await subnet.score(round, [answer]), 1)[0]
    except EngineError as error:
        return _unjudged(error)
    except Exception as error:  # noqa: BLE001  this miner's bytes broke the scorer: it was asked and is not verified
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
