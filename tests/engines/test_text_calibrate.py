"""Counting on a tiny random model: every way of answering runs, the command makes a file that a validator reads."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ranvier.subnets.text.sampled import PORTION, Sample, sampled
from ranvier.subnets.text.ways import INT8, PREFILL, RELAY, cheap_ways, honest_ways
from ranvier.subnets.verification import Bounds, LogprobCheck, MinerTests, read_calibration

BOUNDS = Bounds()


@pytest.fixture(scope="module")
def samples(tiny: Any, tiny_folder: Path) -> dict[str, Sample]:
    """A portion of every way; miners and verifier share the model."""
    from ranvier.engines.text.network import Network

    network = tiny._network
    other = Network.load(str(tiny_folder), dtype="bfloat16", device="cpu")
    ways = {**honest_ways(network, other), **cheap_ways(network)}
    return sampled(tiny, ways, dict.fromkeys(ways, PORTION), tokens=24, seed="test")


@pytest.fixture(scope="module")
def made(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes."""
    from ranvier.neurons.cli.models import app

    out = tmp_path_factory.mktemp("calibration") / "mine.json"
    done = CliRunner().invoke(
        app, ["calibrate", str(tiny_folder), "--dtype", "float32", "--answers", "32", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "nats a token" in done.output
    return out


def test_other_engines_and_batches_give_the_seeded_choices(samples: dict[str, Sample]) -> None:
    """In float32 to the last token, padded or not, alone or together."""
    for way in [name for name in samples if name.startswith("float32")]:
        shown = [one for answer in samples[way].answers for one in answer.seen]
        assert sum(one.margin > 0 for one in shown) <= len(shown) / 100, way
        assert max(one.margin for one in shown) < 0.01, way


def test_the_command_makes_a_calibration_that_tells_ways_apart(made: Path) -> None:
    found = read_calibration(made)
    assert (found.dtype, found.device, found.least) == ("float32", "cpu", 64)
    assert len(found.honest) == 4
    assert found.uncalibrated == ("bfloat16, batches of 16",), "coarser than what this verifier computes in"
    assert all(found.drift(way, INT8) < 0 < found.drift(RELAY, INT8) for way in found.honest)


def test_every_cheat_is_caught_by_what_the_command_counted(made: Path, samples: dict[str, Sample]) -> None:
    calibration = read_calibration(made)
    honest, close = set(calibration.honest), {INT8, "0.95 of the temperature", *calibration.uncalibrated}
    for way in set(samples) - honest - close:
        tests, rng = MinerTests(), random.Random(1)
        for _ in range(20):
            tests = tests.add(rng.choice(samples[way].answers).seen, calibration, BOUNDS)
        assert tests.standing(BOUNDS) == "caught", way
    for way in honest:
        tests = MinerTests()
        for answer in samples[way].answers:
            tests = tests.add(answer.seen, calibration, BOUNDS)
        assert tests.standing(BOUNDS) != "caught", way


def test_the_prefill_attack_passes_log_probabilities_and_nothing_else(
    made: Path, samples: dict[str, Sample]
) -> None:
    check = LogprobCheck.of(read_calibration(made))
    answers = samples[PREFILL].answers
    assert [one.away for one in answers] == pytest.approx([0.0] * len(answers), abs=1e-3)
    assert all(one.away is not None and one.away <= check.distance for one in answers)
    assert sum(one.margin > 0.3 for answer in answers for one in answer.seen) > 50
