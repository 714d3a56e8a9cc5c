"""The clock of this machine, as far as the chain's blocks can tell it."""

from __future__ import annotations

from typing import Final

from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn
from ranvier.protocol.btauth import MAX_AGE_NS, MAX_SKEW_NS

OLD: Final = MAX_AGE_NS / 1e9
"""Seconds that a request may be old by its receiver's clock."""
EARLY: Final = MAX_SKEW_NS / 1e9
"""Seconds that it may come from the future."""
_A_DAY: Final = 86400.0
_STEP: Final = "let NTP set this machine's clock: `timedatectl set-ntp true`"


async def clock(case: Case) -> Finding:
    """A block's time against ours when it came; requests of a clock that is too far off are refused."""
    assert case.lag is not None
    assert case.block_time is not None
    return judge(case.lag, case.block_time, miner=case.is_miner)


def judge(lag: float, block_time: float, *, miner: bool) -> Finding:
    """`lag` is how far our clock was past the block's own time when it came, in seconds.

    A block may take two block times and a second to come, so a clock that is ahead is only found out beyond them,
    and one that is behind at once. A validator sends requests and a miner receives them: what is early for one is old
    for the other.
    """
    if abs(lag) > _A_DAY:
        return warn("clock", "the chain does not keep the time of day", "compare the clock with NTP by hand")
    ahead, behind = lag - travel(block_time), -lag
    ahead_limit, behind_limit = (OLD, EARLY) if miner else (EARLY, OLD)
    which = "ahead" if ahead > 0 else "behind"
    by, limit = max(ahead, behind), ahead_limit if ahead > 0 else behind_limit
    if by > limit:
        who = "it refuses requests" if miner else "its requests are refused"
        return fail("clock", f"{by:.1f} s {which} of the chain or more; beyond {limit:.0f} s {who}", _STEP)
    if by > EARLY / 2:
        return warn("clock", f"{by:.1f} s {which} of the chain or more", _STEP)
    return ok("clock", f"{lag:.1f} s past a block's own time when it came")


def travel(block_time: float) -> float:
    """Seconds that may pass between a block's own time and its coming."""
    return 2 * block_time + 1.0
