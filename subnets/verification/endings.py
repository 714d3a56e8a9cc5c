"""Where an answer ends: only where the model ends, or where the limit is; and its text is what its tokens spell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from ranvier.engines import TokenEvidence

EARLY: Final = "ends where the model goes on"


def ending_fault(
    token_ids: Sequence[int],
    finish_reason: Literal["stop", "length"] | str,
    text: str,
    evidence: TokenEvidence,
    *,
    max_tokens: int,
    tie: float = 0.0,
) -> str | None:
    """What is wrong with the shape of an answer that has tokens; None if nothing is.

    An end token may lie ``tie`` behind the seeded choice, as rounding swaps neighbours; who ends early there again and
    again is paid for fewer tokens, and every such margin counts in the miner's tests.
    """
    ends = set(evidence.end_token_ids)
    if len(token_ids) > max_tokens:
        return "more tokens than were asked for"
    if any(token in ends for token in token_ids[:-1]):
        return "goes on after the end token"
    if finish_reason not in ("stop", "length"):
        return "neither ends nor reaches the limit"
    if finish_reason == "stop" and token_ids[-1] not in ends:
        return "stops without the end token"
    if finish_reason == "stop" and evidence.expected[-1] not in ends and evidence.margin[-1] > tie:
        return EARLY
    if finish_reason == "length" and len(token_ids) != max_tokens:
        return "stops before the limit"
    if text != evidence.text:
        return "the text is not what its tokens spell"
    return None
