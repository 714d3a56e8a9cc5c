"""The published guarantee: an honest majority with enough weight on its own miners keeps its share of emission."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "chain"))

from split import CASES, Setting, Split, needed

VECTORS = json.loads((Path(__file__).parent / "data" / "yuma_vectors.json").read_text())


def test_all_recorded_cases_are_among_ours() -> None:
    recorded = {tuple(case.values()) for case in VECTORS["consensus_guarantee"]["cases"]}
    assert recorded <= set(CASES)
    assert len(CASES) == 14


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("case", CASES)
def test_an_honest_majority_keeps_its_share(case: tuple[float, float, float, float], seed: int) -> None:
    stake, honest, cabal, deviation = case
    share = Split(stake, Setting(deviation=deviation), seed).share(honest, cabal)
    # The first cases stand on the border (both sides weigh alike); rounding weights to u16 moves them by its quantum.
    assert share >= stake * (1 - 1 / 65535)


@pytest.mark.parametrize(
    ("plot", "setting"),
    [
        ("weights_stddev_0.svg", Setting(deviation=0.0)),
        ("weights_stddev_40.svg", Setting()),
        ("bonds_penalty_0.svg", Setting(beta=0.0)),
        ("validator_emission_0.svg", Setting(xi=0.0)),
        ("kappa_60.svg", Setting(kappa=0.6)),
        ("kappa_40.svg", Setting(kappa=0.4)),
    ],
)
def test_curves_lie_where_they_were_published(plot: str, setting: Setting) -> None:
    """Two points of one curve for each knob; `python benchmarks/chain --only guarantee` measures all."""
    published = VECTORS["retention_published"]["plots"][plot]["0.7"]["WH_at_WC"]
    split = Split(0.7, setting, seed=0)
    for weight in ("0.4", "0.9"):
        assert abs(needed(split, 0.7, float(weight)) - published[weight]) <= 0.003


def test_the_curve_that_chance_decides_is_that_of_the_published_draw() -> None:
    """Both sides hold more than kappa: draws differ by .04 where the cabal weighs only itself."""
    published = VECTORS["retention_published"]["plots"]["kappa_40.svg"]["0.51"]["WH_at_WC"]["1.0"]
    ours = [needed(Split(0.51, Setting(kappa=0.4), seed), 0.51, 1.0) for seed in (0, 1, 2)]
    assert abs(ours[0] - published) <= 0.003
    assert max(ours) - min(ours) > 0.01
