import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.image.calibration import CLEAR, ENOUGH, RATIO, load_calibration
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


DTYPES = ("float32", "bfloat16")
PAIRS = [(verifier, miner) for verifier in DTYPES for miner in DTYPES]


def test_the_shipped_model_passes_its_gate_in_each_dtype():
    gate = load_calibration()
    assert gate.passed
    assert gate.ratio >= RATIO
    assert gate.dtypes == DTYPES
    for verifier in gate.verifiers.values():
        assert set(verifier.miners) == set(DTYPES)
        assert verifier.seed_to_seed.pairs >= ENOUGH
        assert min(one.pairs for pair in verifier.miners.values() for one in pair.honest.values()) >= ENOUGH


@pytest.mark.parametrize(("verifier", "miner"), PAIRS)
def test_thresholds_leave_room_for_honest_miners(verifier, miner):
    gate = load_calibration()
    found = gate.verifiers[verifier].miners[miner]
    limits = found.thresholds
    for one in found.honest.values():
        assert one.mean_q999 < limits.same_mean
        assert one.coarse_q999 < limits.same_coarse
        assert one.high_q999 <= limits.same_high
    assert gate.verifiers[verifier].seed_to_seed.mean_q01 > limits.other_mean
    assert gate.judge(Distance(0.0, 0.0, 0.0), miner, verifier) == "same"
    assert gate.judge(Distance(0.0, limits.same_high + 1, 0.0), miner, verifier) == "doubtful"
    assert gate.judge(Distance(limits.other_mean + 1, 255.0, 255.0), miner, verifier) == "other"
    assert len(found.links) == gate.steps
    for number, link in enumerate(found.links):
        assert link.honest < link.same_mean < link.other_mean
        assert gate.judge_link(number, link.honest, 0.0, miner, verifier) == "same"
        assert gate.judge_link(number, float("nan"), 0.0, miner, verifier) == "other"
        if miner == verifier:
            assert link.skipped > link.other_mean


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_its_own_dtype_every_cheat_lies_far_beyond_what_is_paid(dtype):
    """Whichever dtype the cheat draws in."""
    verifier = load_calibration().verifiers[dtype]
    limits = verifier.miners[dtype].thresholds
    kinds = (
        "one step fewer",
        "half the steps",
        "no guidance",
        "half the size",
        "cached picture of another prompt",
    )
    assert set(verifier.cheats) == {f"{kind}, {drawn}" for kind in kinds for drawn in DTYPES}
    for cheat in verifier.cheats.values():
        assert cheat.mean_q01 > 2 * limits.same_mean
    assert verifier.parts(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_dtype_of_the_shipped_model_verifies_another(dtype):
    """Its rounding reaches as far as one step that was left out."""
    gate = load_calibration()
    (other,) = set(DTYPES) - {dtype}
    assert gate.verifier(dtype, DTYPES) == gate.verifier(dtype, [dtype]) == dtype
    assert not gate.verifiers[other].parts(dtype)
    assert gate.verifier(dtype, [other]) is None
    assert gate.verifier(dtype, []) is None


@given(st.floats(1.0, 100.0), st.integers(1, 200))
def test_one_dtype_verifies_another_only_where_many_pictures_keep_cheats_clear(factor, pairs):
    gate = load_calibration()
    verifier = gate.verifiers["float32"]
    pair = verifier.miners["bfloat16"]
    honest = {way: one.model_copy(update={"pairs": pairs}) for way, one in pair.honest.items()}
    reach = max(one.mean_q999 for one in honest.values())
    far = {
        name: one.model_copy(update={"mean_q01": factor * reach, "coarse_q01": 0.0})
        for name, one in verifier.cheats.items()
    }
    links = tuple(one.model_copy(update={"skipped": factor * one.honest}) for one in pair.links)
    changed = pair.model_copy(update={"honest": honest, "links": links})
    seen = verifier.model_copy(update={"cheats": far, "miners": {**verifier.miners, "bfloat16": changed}})
    clear = factor >= CLEAR and pairs >= ENOUGH
    assert seen.parts("bfloat16") == clear
    moved = gate.model_copy(update={"verifiers": {**gate.verifiers, "float32": seen}})
    assert moved.verifier("bfloat16", ["float32"]) == ("float32" if clear else None)
    assert moved.verifier("bfloat16", DTYPES) == "bfloat16"


@pytest.mark.parametrize("pair", [("float16", "float32"), ("float32", "float16")])
def test_a_dtype_that_was_not_measured_is_not_judged(pair):
    with pytest.raises(KeyError):
        load_calibration().judge(Distance(0.0, 0.0, 0.0), *pair)


def test_a_gate_that_leaves_pairs_out_is_none(tmp_path):
    gate = load_calibration()
    half = {"float32": gate.verifiers["float32"]}
    for verifiers in (half, {}):
        file = tmp_path / "gate.json"
        file.write_text(gate.model_copy(update={"verifiers": verifiers}).model_dump_json())
        with pytest.raises(ModelNotFound, match=r"image\.gate"):
            load_calibration(file)


def test_a_missing_calibration_names_the_command(tmp_path):
    with pytest.raises(ModelNotFound, match=r"image\.gate"):
        load_calibration(tmp_path / "gate.json")
