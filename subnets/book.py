"""The score book: a moving average for each hotkey, under the rules that bind every subnet. Pure; storage is elsewhere.

- Asked and not verified is zero: refused, timed out, unreachable, invalid, unreadable.
- A hotkey starts at zero. One that was not asked keeps its average.
- Answered and not drawn for an audit changes nothing: only audited credit is paid.
- A validator's own failure is no score.
- Caught is zero at once and until so many more rounds of verified work are done for nothing: ``penalty_rounds``; more
  where audits are so rare that cheating pays for longer (`least_penalty`), or proof took longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ranvier.protocol import Answered, Outcome
from ranvier.subnets.audit import Record, least_penalty
from ranvier.subnets.subnet import SubnetSettings, Verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """One hotkey's line. ``average`` is in [0, 1]; ``penalty`` counts rounds that still earn nothing."""

    average: float = 0.0
    rounds: int = 0
    passed: int = 0
    caught: int = 0
    penalty: int = 0
    suspicion: float = 0.0

    @property
    def record(self) -> Record:
        """What the audit draw needs."""
        return Record(self.passed, self.caught > 0, self.suspicion)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one task: its outcome, and the verdict where it was audited."""

    hotkey: str
    outcome: Outcome[object]
    verdict: Verdict | None = None

    @property
    def value(self) -> float | None:
        """What the task counts for; None where it does not count."""
        if not isinstance(self.outcome, Answered):
            return 0.0
        return None if self.verdict is None else self.verdict.value

    @property
    def caught(self) -> bool:
        """Whether it proves cheating."""
        return self.verdict is not None and self.verdict.caught


class ScoreBook:
    """The entries of one validator on one subnet, by hotkey."""

    def __init__(self, settings: SubnetSettings, entries: Mapping[str, Entry] | None = None) -> None:
        self._settings = settings
        self._entries = dict(entries or {})

    def __getitem__(self, hotkey: str) -> Entry:
        return self._entries.get(hotkey, Entry())

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All lines."""
        return dict(self._entries)

    @property
    def averages(self) -> dict[str, float]:
        """What `Subnet.weights` is given: averages of those that are neither under penalty nor on trial.

        Without a trial, one honest answer that is repeated from then on would be paid until the first catch.
        """
        trial = self._settings.trial_rounds
        return {
            hotkey: entry.average
            for hotkey, entry in self._entries.items()
            if not entry.penalty and entry.rounds >= trial
        }

    def record(self, results: Sequence[Result]) -> dict[str, Entry]:
        """Take in one round; the changed lines are returned for storage."""
        by_hotkey: dict[str, list[Result]] = {}
        for result in results:
            by_hotkey.setdefault(result.hotkey, []).append(result)
        changed = {hotkey: self._after(self[hotkey], group) for hotkey, group in by_hotkey.items()}
        self._entries.update(changed)
        return changed

    def forget(self, hotkey: str) -> None:
        """Drop a hotkey that left the subnet: whoever comes in its place inherits nothing."""
        self._entries.pop(hotkey, None)

    def _after(self, entry: Entry, results: Sequence[Result]) -> Entry:
        if any(result.caught for result in results):
            return replace(
                entry,
                average=0.0,
                rounds=entry.rounds + 1,
                passed=0,
                caught=entry.caught + 1,
                penalty=self._penalty(results),
                suspicion=0.0,
            )
        counted = [result.value for result in results if result.value is not None]
        suspicion = _suspicion(entry, [one.verdict for one in results if one.verdict is not None])
        if not counted:
            return replace(entry, rounds=entry.rounds + 1, suspicion=suspicion)
        value = 0.0 if entry.penalty else sum(counted) / len(counted)
        alpha = self._settings.alpha
        return replace(
            entry,
            average=alpha * value + (1 - alpha) * entry.average,
            rounds=entry.rounds + 1,
            passed=entry.passed + len(counted) if all(counted) else 0,
            # Only right answers serve the penalty: who stays away or fails would else sit it out without work.
            penalty=max(0, entry.penalty - 1) if all(counted) else entry.penalty,
            suspicion=suspicion,
        )

    def _penalty(self, results: Sequence[Result]) -> int:
        """Long enough that what the cheat was paid meanwhile is lost, however rare the audits and slow the proof."""
        spells = (result.verdict.spell for result in results if result.verdict is not None and result.caught)
        least = least_penalty(self._settings.audit_rate)
        return max(self._settings.penalty_rounds, least, *spells)


def _suspicion(entry: Entry, verdicts: Sequence[Verdict]) -> float:
    """What is newest; an answer that could not be judged may add to it and takes nothing away."""
    shown = max((one.suspicion for one in verdicts), default=0.0)
    return shown if any(one.value is not None for one in verdicts) else max(entry.suspicion, shown)
