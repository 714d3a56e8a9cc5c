"""A subnet of sums whose validator kills itself with SIGKILL at a chosen statement of its own state: test code only.

The variable DEATH says where: "POINT NETUID SKIP DELAY". SKIP times the point is passed unharmed; DELAY seconds after
it was reached the process ends, whatever it does then.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sums import Sum, SumSubnet

from ranvier.subnets import Answer, Context, Round, Verdict

ANY = ""
SCORES, VECTOR = r"^INSERT OR REPLACE INTO scores", r"^INSERT INTO vectors"
POINTS: dict[str, tuple[str, ...]] = {
    "while scores are written": (SCORES,),
    "before a round's commit": (SCORES, "^COMMIT"),
    "after a round's commit": (SCORES, "^COMMIT", ANY),
    "before the intent's commit": (VECTOR, "^COMMIT"),
    "between intent and send": (VECTOR, "^COMMIT", ANY),
    "after the send, before its note": (r"^INSERT INTO attempts.*'included'",),
    "after its note, before it is read back": (r"^INSERT INTO attempts.*'included'", "^COMMIT", ANY),
    "between commit and reveal": (r"^UPDATE vectors SET status = 'promised'", "^COMMIT", ANY),
    "after the reveal, before its note": (r"^INSERT INTO attempts.*'revealed'",),
    "before it is noted as landed": (r"^UPDATE vectors SET status = 'landed'",),
}
"""Statements that come one after the other; SQLite names each just before it runs."""
SCORING = "while scoring"


@dataclass
class Death:
    """Waits for its point."""

    point: str
    netuid: int
    skip: int
    delay: float
    reached: int = 0

    @classmethod
    def read(cls, text: str) -> Death:
        point, netuid, skip, delay = text.rsplit(" ", 3)
        return cls(point, int(netuid), int(skip), float(delay))

    def hear(self, statement: str) -> None:
        """Called by SQLite with every statement."""
        steps = POINTS[self.point]
        if re.search(steps[self.reached], statement, re.DOTALL):
            self.reached += 1
        if self.reached == len(steps):
            self.reached = 0
            self.come()

    def come(self) -> None:
        self.skip -= 1
        if self.skip >= 0:
            return
        if self.delay:
            threading.Thread(target=self._later, daemon=True).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def _later(self) -> None:
        time.sleep(self.delay)
        os.kill(os.getpid(), signal.SIGKILL)


class MortalSums(SumSubnet):
    """Sums, and death."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        text = os.environ.get("DEATH", "")
        death = Death.read(text) if text else None
        self._death = death if death is not None and death.netuid == context.netuid else None
        if context.memory is not None and self._death is not None and self._death.point in POINTS:
            connection: Any = context.memory._database._connection
            connection.set_trace_callback(self._death.hear)

    async def score(self, round: Round, answers: Sequence[Answer[Sum]]) -> Sequence[Verdict]:
        if self._death is not None and self._death.point == SCORING:
            self._death.come()
        return await super().score(round, answers)
