"""Counting what honest and other computations look like, for one model, dtype and device: `Calibration` data."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ranvier.subnets.text.ways import ALONE, BATCH, cheap_ways, honest_ways, judged, requests
from ranvier.subnets.verification.tokens import Calibration, Place, counted, places

if TYPE_CHECKING:
    from ranvier.engines.text.network import Network

NEAREST: Final = "8-bit weights"
OTHERS: Final = ("4-bit weights", "half the temperature", "relay")


def shipped() -> Calibration:
    """The one of the default model: SmolLM2-135M-Instruct in bfloat16 on a CPU."""
    return Calibration.model_validate_json((files(__package__) / "calibration.json").read_text())


def calibrate(
    name: str,
    network: Network,
    other: Network,
    *,
    answers: int = 256,
    tokens: int = 48,
    seed: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> Calibration:
    """Generate, verify and count: minutes of CPU. ``other`` is the model in another dtype that is accepted, too."""
    from ranvier.engines.text.model import CausalText

    verifier, honest, cheap = CausalText(name, network), honest_ways(network, other), cheap_ways(network)
    found: dict[str, list[Place]] = {}
    for number, (way, make) in enumerate(
        {**honest, **{key: cheap[key] for key in (NEAREST, *OTHERS)}}.items()
    ):
        rare = way in OTHERS or way.endswith(ALONE)  # far from honest, or slow
        asked = requests(max(BATCH, answers // 4) if rare else answers, tokens, seed + number)
        made = make(asked)
        evidence = judged(verifier, asked, made)
        found[way] = [
            place
            for answer, seen in zip(made, evidence, strict=True)
            for place in places(seen, answer.token_ids)
        ]
        say(f"{way}: {len(asked)} answers, {len(found[way])} informative tokens")
    return of_counts(name, network.dtype, network.device, found, tuple(honest))


def of_counts(
    name: str, dtype: str, device: str, found: Mapping[str, list[Place]], honest: tuple[str, ...]
) -> Calibration:
    """The data for what was seen."""
    return Calibration(
        model=name,
        dtype=dtype,
        device=device,
        engine="transformers",
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers")},
        },
        ways={way: counted(seen) for way, seen in found.items()},
        honest=honest,
        nearest=(NEAREST,),
        others=OTHERS,
    )


def write(calibration: Calibration, path: Path) -> None:
    """As the file that `shipped` and a subnet's settings read."""
    path.write_text(calibration.model_dump_json(indent=1) + "\n")
