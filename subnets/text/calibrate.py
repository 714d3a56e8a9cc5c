"""Counting what honest and other computations look like, for one model, dtype and device: `Calibration` data."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

from ranvier.subnets.text.sampled import PORTION, Sample, sampled
from ranvier.subnets.text.ways import ALONE, HALF, INT4, INT8, NINE, RELAY, cheap_ways, honest_ways
from ranvier.subnets.verification.calibration import Calibration, Spread
from ranvier.subnets.verification.tokens import counted, place

if TYPE_CHECKING:
    from ranvier.engines.text.network import Network

NEAREST: Final = (INT8, NINE)
"""The cheats that are hardest to tell from honest work."""
OTHERS: Final = (INT4, HALF, RELAY)
TOKENS: Final = 48
SEED: Final = "calibration"


def shipped() -> Calibration:
    """The one of the default model: SmolLM2-135M-Instruct in bfloat16 on a CPU."""
    return Calibration.model_validate_json((files(__package__) / "calibration.json").read_text())


def calibrate(
    name: str,
    network: Network,
    other: Network,
    *,
    answers: int = 192,
    seed: str = SEED,
    keep: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Calibration:
    """Generate, verify and count: minutes of CPU. ``other`` is the model in another dtype that is accepted, too.

    With ``keep`` the answers are kept in that file, and a run that was interrupted goes on.
    """
    from ranvier.engines.text.model import CausalText

    honest, cheap = honest_ways(network, other), cheap_ways(network)
    ways = {**honest, **{key: cheap[key] for key in (*NEAREST, *OTHERS)}}
    counts = {way: max(PORTION, answers // _part(way, next(iter(honest)))) for way in ways}
    found = sampled(CausalText(name, network), ways, counts, tokens=TOKENS, seed=seed, path=keep, say=say)
    return of_samples(name, network.dtype, network.device, found, tuple(honest))


def _part(way: str, first: str) -> int:
    """What fraction of the answers is enough: all for what decides, few for what is slow or far from honest."""
    if way == first:
        return 1
    if way in OTHERS or way.endswith(ALONE):
        return 12
    return 2 if way in NEAREST else 3


def of_samples(
    name: str, dtype: str, device: str, found: Mapping[str, Sample], honest: tuple[str, ...]
) -> Calibration:
    """The data for what was seen.

    Another dtype than the verifier's may look like coarser weights (bfloat16 to a verifier in float32): such a way is
    listed as uncalibrated, and its miners are not accepted.
    """
    whole = _of_samples(name, dtype, device, found, honest)
    doubtful = tuple(way for way in honest if way in whole.confused and not way.startswith(dtype))
    kept = tuple(way for way in honest if way not in doubtful)
    return _of_samples(name, dtype, device, found, kept, doubtful) if doubtful else whole


def _of_samples(
    name: str,
    dtype: str,
    device: str,
    found: Mapping[str, Sample],
    honest: tuple[str, ...],
    uncalibrated: tuple[str, ...] = (),
) -> Calibration:
    return Calibration(
        model=name,
        dtype=dtype,
        device=device,
        engine="ranvier",
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers")},
        },
        answers={way: len(sample.answers) for way, sample in found.items()},
        ways={
            way: counted(place(one) for answer in sample.answers for one in answer.seen)
            for way, sample in found.items()
        },
        logprobs={
            way: Spread(answers=len(away), mean=fmean(away), most=max(away))
            for way, sample in found.items()
            if (away := [one.away for one in sample.answers if one.away is not None])
        },
        honest=honest,
        nearest=NEAREST,
        others=OTHERS,
        uncalibrated=uncalibrated,
    )


def write(calibration: Calibration, path: Path) -> None:
    """As the file that `shipped` and a subnet's settings read."""
    path.write_text(calibration.model_dump_json(indent=1) + "\n")
