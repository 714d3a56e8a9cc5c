"""What can go wrong in the sentiment subnet."""

from __future__ import annotations

from pathlib import Path

from ranvier.subnets.errors import SubnetError


class SentimentError(SubnetError):
    """Base of this package's errors."""


class FramesUnreadable(SentimentError):
    """A frames file cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"frames file {path} cannot be used: {reason}; see subnets/sentiment/frames.toml for the form"
        )


class FramesTooFew(SentimentError):
    """No frame leads from the drawn sentences to the drawn label, so labels could not be kept independent."""

    def __init__(self, two: bool, polarity: int, s: int, t: int) -> None:
        self.two, self.polarity, self.s, self.t = two, polarity, s, t
        kind = "two-sentence" if two else "one-sentence"
        super().__init__(
            f"no {kind} frame gives polarity {polarity} from ({s}, {t}); add one to the frames file"
        )


class CorpusMissing(SentimentError):
    """The prepared sentences are not in the store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"no review sentences at {path}; run `ranvier models prepare sentences`")


class CorpusUnreadable(SentimentError):
    """The prepared sentences are damaged or too few."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"review sentences at {path} cannot be used: {reason}; prepare them again")


class NoEngine(SentimentError):
    """A miner that needs a classifier was started without an engine."""

    def __init__(self, miner: str) -> None:
        self.miner = miner
        step = "start `ranvier engine --model classify=sentiment` and name it by --engine"
        super().__init__(f"{miner} needs an engine that serves a classifier; {step}")
