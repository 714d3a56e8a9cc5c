import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.image.calibration import RATIO, load_calibration
from ranvier.engines.image.distance import Distance, distance

BLACK = np.zeros((32, 32, 3), dtype=np.uint8)


def test_distance_counts_levels():
    grey = BLACK + np.uint8(3)
    assert distance(BLACK, grey) == distance(grey, BLACK) == Distance(3.0, 3.0, 3.0)
    assert distance(BLACK, BLACK) == Distance(0.0, 0.0, 0.0)


def test_a_small_changed_part_shows_in_the_percentile():
    patched = BLACK.copy()
    patched[:4, :4] = 255
    apart = distance(BLACK, patched)
    assert apart.mean < 5
    assert apart.high == 255


def test_other_shapes_cannot_be_compared():
    with pytest.raises(ValueError, match="cannot be compared"):
        distance(BLACK, BLACK[:16])


def test_grain_averages_out_and_a_moved_area_does_not():
    grain = BLACK.copy()
    grain[::2] = 8
    grey = np.full_like(BLACK, 4)
    assert distance(grey, grain).mean == 4
    assert distance(grey, grain).coarse == 0
    assert distance(BLACK, grey).coarse == 4


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_size_can_be_compared(height, width, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    apart = distance(one, other)
    assert apart == distance(other, one)
    assert 0 <= apart.coarse <= apart.mean + 1e-3
    assert apart.high >= np.median(np.abs(one.astype(int) - other.astype(int)))


def test_the_shipped_model_passes_its_gate_and_its_thresholds_part_the_distributions():
    gate = load_calibration()
    assert gate.passed
    assert gate.ratio >= RATIO
    assert set(gate.miners) == {"float32", "bfloat16"}
    for dtype, found in gate.miners.items():
        limits = found.thresholds
        for one in found.honest.values():
            assert one.mean_q999 < limits.same_mean
            assert one.coarse_q999 < limits.same_coarse
            assert one.high_q999 <= limits.same_high
        assert gate.seed_to_seed.mean_q01 > limits.other_mean
        assert gate.judge(Distance(0.0, 0.0, 0.0), dtype) == "same"
        assert gate.judge(Distance(0.0, limits.same_high + 1, 0.0), dtype) == "doubtful"
        assert gate.judge(Distance(limits.other_mean + 1, 255.0, 255.0), dtype) == "other"
        assert len(found.links) == gate.steps
        for number, link in enumerate(found.links):
            assert link.honest < link.same_mean < link.other_mean
            assert gate.judge_link(number, link.honest, 0.0, dtype) == "same"
            assert gate.judge_link(number, float("nan"), 0.0, dtype) == "other"
            if dtype == gate.dtype:
                assert link.skipped > link.other_mean


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "name",
    ["one step fewer", "half the steps", "no guidance", "half the size", "cached picture of another prompt"],
)
def test_every_cheat_lies_beyond_what_is_paid(name, dtype):
    gate = load_calibration()
    cheat, limits = gate.cheats[name], gate.miners[dtype].thresholds
    assert cheat.mean_q01 > limits.same_mean or cheat.coarse_q01 > limits.same_coarse


def test_a_dtype_that_was_not_measured_is_not_judged():
    with pytest.raises(KeyError):
        load_calibration().judge(Distance(0.0, 0.0, 0.0), "float16")


def test_a_missing_calibration_names_the_command(tmp_path):
    with pytest.raises(ModelNotFound, match=r"image\.gate"):
        load_calibration(tmp_path / "gate.json")
