import numpy as np
import pytest

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.image.calibration import RATIO, load_calibration
from ranvier.engines.image.distance import Distance, distance

BLACK = np.zeros((32, 32, 3), dtype=np.uint8)


def test_distance_counts_levels():
    grey = BLACK + np.uint8(3)
    assert distance(BLACK, grey) == distance(grey, BLACK) == Distance(3.0, 3.0)
    assert distance(BLACK, BLACK) == Distance(0.0, 0.0)


def test_a_small_changed_part_shows_in_the_percentile():
    patched = BLACK.copy()
    patched[:4, :4] = 255
    apart = distance(BLACK, patched)
    assert apart.mean < 5
    assert apart.high == 255


def test_other_shapes_cannot_be_compared():
    with pytest.raises(ValueError, match="cannot be compared"):
        distance(BLACK, BLACK[:16])


def test_the_shipped_model_passes_its_gate_and_its_thresholds_part_the_distributions():
    gate = load_calibration()
    assert gate.passed
    assert gate.ratio >= RATIO
    limits = gate.thresholds
    assert all(one.mean_q999 < limits.same_mean for one in gate.honest.values())
    assert all(one.high_q999 <= limits.same_high for one in gate.honest.values())
    assert gate.seed_to_seed.mean_q001 > limits.same_mean
    assert gate.seed_to_seed.mean_q01 > limits.other_mean
    assert gate.judge(Distance(0.0, 0.0)) == "same"
    assert gate.judge(Distance(0.0, limits.same_high + 1)) == "doubtful"
    assert gate.judge(Distance(limits.other_mean + 1, 255.0)) == "other"


@pytest.mark.parametrize(
    "name",
    ["one step fewer", "half the steps", "no guidance", "half the size", "cached picture of another prompt"],
)
def test_every_cheat_lies_beyond_what_is_paid(name):
    gate = load_calibration()
    assert gate.cheats[name].mean_q001 > gate.thresholds.same_mean


def test_a_missing_calibration_names_the_command(tmp_path):
    with pytest.raises(ModelNotFound, match=r"image\.gate"):
        load_calibration(tmp_path / "gate.json")
