"""The shipped scenes model: declared, seeded, the same in every batch."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from ranvier.engines.errors import ModelNotFound  # noqa: E402
from ranvier.engines.image.calibration import SHIPPED, load_calibration  # noqa: E402
from ranvier.engines.image.distance import distance  # noqa: E402
from ranvier.engines.image.model import load_image  # noqa: E402
from ranvier.engines.image.png import read_png  # noqa: E402
from ranvier.engines.load import Loader, Spec  # noqa: E402
from ranvier.engines.models import ImageRequest, StepRequest  # noqa: E402
from ranvier.engines.training.withheld import FAMILIES  # noqa: E402

pytestmark = pytest.mark.models

FINE = ("float32", "float32")
PROMPTS = (
    "a large red circle on a plain blue ground",
    "a green star and a pink ring on a striped white ground",
)


def asked(prompt=PROMPTS[0], seed=1, steps=12):
    return ImageRequest(prompt, bytes([seed] * 32), steps, 3.0, 32, 32)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return load_image("scenes")


@pytest.fixture(scope="module")
def drawn(model):
    requests = [asked(PROMPTS[0], 1), asked(PROMPTS[0], 2), asked(PROMPTS[1], 1)]
    return [read_png(png, 32, 32) for png in model.generate(requests)]


def test_it_is_the_model_of_the_shipped_gate(model):
    gate = load_calibration()
    assert (model.info.digest, model.info.device) == (gate.digest, gate.device)
    assert model.info.dtype in gate.dtypes
    assert model.info.kind == "image"
    assert (model.info.extra["width"], model.info.extra["steps"]) == (gate.width, gate.steps)


def test_the_shipped_scores_are_of_this_model(model):
    scores = json.loads((SHIPPED / "judge.json").read_text())
    assert scores["digest"] == model.info.digest
    assert set(scores["withheld"]) == set(scores["trained"]) == set(FAMILIES)


def test_alone_or_in_any_batch_it_draws_the_same(model, drawn):
    gate = load_calibration()
    mixed = model.generate([asked(PROMPTS[1], 9, steps=2), asked(PROMPTS[0], 2), asked(PROMPTS[0], 1)])
    alone = model.generate([asked(PROMPTS[1], 1)])
    for received, expected in ((mixed[2], drawn[0]), (mixed[1], drawn[1]), (alone[0], drawn[2])):
        assert gate.judge(distance(read_png(received, 32, 32), expected), *FINE) == "same"


def test_seed_prompt_and_steps_make_another_picture(model, drawn):
    gate = load_calibration()
    fewer = read_png(model.generate([asked(steps=6)])[0], 32, 32)
    for dtype in gate.dtypes:
        assert gate.judge(distance(drawn[0], drawn[1]), dtype, "float32") == "other"
        assert gate.judge(distance(drawn[0], drawn[2]), dtype, "float32") == "other"
        assert gate.judge(distance(drawn[0], fewer), dtype, "float32") != "same"


def test_the_ground_has_the_colour_that_was_asked_for(drawn):
    red, _, blue = np.median(drawn[0].reshape(-1, 3), axis=0)
    assert blue > red + 60


def test_the_file_names_the_model_and_the_steps(model):
    (png,) = model.generate([asked(steps=2)])
    assert model.info.digest.encode() in png
    assert b"steps\x002" in png


def test_another_size_is_refused(model):
    (refused,) = model.generate([replace(asked(), width=64)])
    assert "32x32" in str(refused)


def test_it_saves_and_loads_like_any_pipeline(model, tmp_path, drawn):
    model.pipeline.save_pretrained(tmp_path / "copy", safe_serialization=True)
    copy = load_image(str(tmp_path / "copy"))
    (png,) = copy.generate([asked(PROMPTS[0], 1)])
    assert load_calibration().judge(distance(read_png(png, 32, 32), drawn[0]), *FINE) == "same"


def test_in_bfloat16_too_it_draws_the_same_in_any_batch(model):
    """So a verifier of the same dtype need allow for no rounding; one of another would have to."""
    (coarse,) = Loader().load([Spec.parse("image=scenes@bfloat16")])
    assert (coarse.info.id, coarse.info.dtype) == ("scenes@bfloat16", "bfloat16")
    assert coarse.info.digest == model.info.digest
    gate, pair = load_calibration(), ("bfloat16", "bfloat16")
    requests = [asked(PROMPTS[0], 1), asked(PROMPTS[1], 2), asked(PROMPTS[0], 3)]
    together = coarse.generate(requests)
    (alone,) = coarse.trace(requests[1:2])
    drawn = read_png(alone.png, 32, 32)
    assert gate.judge(distance(drawn, read_png(together[1], 32, 32)), *pair) == "same"
    (fine,) = model.generate(requests[1:2])
    assert gate.judge(distance(drawn, read_png(fine, 32, 32)), *pair) != "same"
    before = (b"", *alone.latents[:-1])
    again = coarse.steps([StepRequest(requests[1], number, one) for number, one in enumerate(before)])
    for number, (ours, theirs) in enumerate(zip(again, alone.latents, strict=True)):
        apart = np.abs(np.frombuffer(ours, "<f4") - np.frombuffer(theirs, "<f4"))
        assert gate.judge_link(number, apart.mean(), np.percentile(apart, 99), *pair) == "same"


@pytest.mark.parametrize("text", ["{}", "[]", "not json"])
def test_a_folder_that_is_no_pipeline_says_what_to_name(tmp_path, text):
    (tmp_path / "model_index.json").write_text(text)
    with pytest.raises(ModelNotFound, match="safetensors"):
        load_image(str(tmp_path))


def test_weights_that_can_hold_code_are_refused(tmp_path):
    parts = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "caption": ["ranvier.engines.image.caption", "CaptionEncoder"],
    }
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "ScenesPipeline", **parts}))
    for part in parts:
        (tmp_path / part).mkdir()
        (tmp_path / part / "diffusion_pytorch_model.bin").write_bytes(b"anything")
        (tmp_path / part / "config.json").write_text('{"_class_name": "x"}')
    with pytest.raises(ModelNotFound):
        load_image(str(tmp_path))
