"""All tests of one miner: two for each of the cheats that are hardest to tell from honest work.

One adds up tokens, for who always cheats. In the other an answer counts as a whole, for who cheats now and then: honest
answers in between are little evidence for such a miner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ranvier.subnets.verification.calibration import Calibration
from ranvier.subnets.verification.sequential import Bounds, SequentialTest, Standing, now_and_then
from ranvier.subnets.verification.tokens import Seen, place


@dataclass(frozen=True, slots=True)
class MinerTests:
    """Evidence of one miner, pooled over its audited answers: of all, or of those since it was last caught.

    ``informative`` tokens were counted so far.
    """

    tests: Mapping[str, SequentialTest] = field(default_factory=dict)
    informative: int = 0

    @classmethod
    def read(cls, stored: Any) -> MinerTests:
        """From a validator's memory; None is a new miner."""
        if stored is None:
            return cls()
        return cls(
            {name: SequentialTest.read(one) for name, one in stored["tests"].items()},
            int(stored["informative"]),
        )

    def stored(self) -> dict[str, Any]:
        """For a validator's memory."""
        return {
            "tests": {name: one.stored() for name, one in self.tests.items()},
            "informative": self.informative,
        }

    def add(
        self, shown: Sequence[Seen], calibration: Calibration, bounds: Bounds, number: int = 0
    ) -> MinerTests:
        """With one more answer, of round ``number``. Alternatives that the calibration no longer has are dropped."""
        places = [place(one) for one in shown]
        tests = {}
        for name in calibration.nearest:
            ratios = calibration.weigh(places, name)
            tests[name] = self._test(name).add(ratios, bounds, number)
            if ratios:
                rare = f"{name}, now and then"
                tests[rare] = self._test(rare).add([now_and_then(sum(ratios))], bounds, number)
        return MinerTests(tests, self.informative + sum(one.informative for one in places))

    def _test(self, name: str) -> SequentialTest:
        return self.tests.get(name, SequentialTest())

    def again(self) -> MinerTests:
        """After a conviction was acted upon: new tests, from the start, and nothing seen yet."""
        return MinerTests({name: one.again() for name, one in self.tests.items()})

    @property
    def worst(self) -> tuple[str, SequentialTest]:
        """The test nearest to proof, and what it is against."""
        return max(
            self.tests.items(), key=lambda one: (one[1].caught, one[1].score), default=("", SequentialTest())
        )

    def standing(self, bounds: Bounds) -> Standing:
        """What the evidence says now."""
        return self.worst[1].standing(bounds)

    def suspicion(self, bounds: Bounds) -> float:
        """How far on the way to proof, from 0 to 1."""
        return self.worst[1].suspicion(bounds)
