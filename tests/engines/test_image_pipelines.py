"""Ordinary diffusers pipelines: loaded, bounded, seeded, cut into steps, checked and cancelled like our own."""

import asyncio
import base64
import io
from dataclasses import replace

import aiohttp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from PIL import Image  # noqa: E402
from tiny_diffusion import SIDE, checker, save  # noqa: E402

from ranvier.engines import (  # noqa: E402
    LATENT_STEPS,
    SEEDED_NOISE,
    DecodeRequest,
    EngineClient,
    EngineRefused,
    EngineTimeout,
    ImageRequest,
    StepRequest,
)
from ranvier.engines.errors import ModelNotFound  # noqa: E402
from ranvier.engines.image.model import Abandoned, load_image  # noqa: E402
from ranvier.engines.local import LocalHost  # noqa: E402
from ranvier.engines.server import EngineServer  # noqa: E402

pytestmark = pytest.mark.models


def asked(prompt="a cat", seed=1, steps=4, side=SIDE):
    return ImageRequest(prompt, bytes([seed] * 32), steps, 3.0, side, side)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png))).astype(np.int16)


def apart(one, other):
    return float(np.abs(pixels(one) - pixels(other)).mean())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return save(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def model(folder):
    return load_image(str(folder))


@pytest.fixture
async def engine(model, tmp_path):
    server = EngineServer(LocalHost([model]))
    endpoint = await server.start(f"unix:{tmp_path}/e.sock")
    async with EngineClient(endpoint) as client:
        yield client
    await server.stop()


def test_it_declares_what_it_is(model):
    info = model.info
    assert (info.kind, info.dtype, info.device) == ("image", "float32", "cpu")
    assert {SEEDED_NOISE, LATENT_STEPS} == set(info.features)
    assert info.extra["width"] == SIDE
    assert info.extra["safety"] == "none"


def test_alone_or_in_a_batch_it_draws_the_same(model):
    requests = [asked(seed=1), asked("a dog", seed=2), asked(seed=3)]
    together = model.generate(requests)
    for one, png in zip(requests, together, strict=True):
        assert apart(model.generate([one])[0], png) < 0.1
    assert apart(together[0], together[2]) > 10


def test_a_seed_means_the_same_in_a_coarser_dtype(model, folder):
    coarse = load_image(str(folder), dtype="bfloat16")
    assert apart(coarse.generate([asked()])[0], model.generate([asked()])[0]) < 2


@pytest.mark.parametrize(
    "scheduler",
    [
        diffusers.DDIMScheduler(clip_sample=False),
        diffusers.EulerDiscreteScheduler(),
        diffusers.EulerDiscreteScheduler(timestep_spacing="leading"),
    ],
    ids=["ddim", "euler", "euler-leading"],
)
def test_every_step_can_be_made_again_from_the_latents_before_it(tmp_path, scheduler):
    model = load_image(str(save(tmp_path, scheduler=scheduler)))
    requests = [asked(seed=1), asked("a dog", seed=2)]
    for one, traced in zip(requests, model.trace(requests), strict=True):
        before = (b"", *traced.latents[:-1])
        again = model.steps([StepRequest(one, number, latents) for number, latents in enumerate(before)])
        for ours, theirs in zip(again, traced.latents, strict=True):
            assert np.allclose(np.frombuffer(ours, "<f4"), np.frombuffer(theirs, "<f4"), atol=1e-3)
        (png,) = model.decode([DecodeRequest(traced.latents[-1], SIDE, SIDE)])
        assert apart(png, traced.png) < 0.1
        assert apart(png, model.generate([one])[0]) < 0.1


def test_a_scheduler_that_remembers_is_no_chain(tmp_path):
    model = load_image(str(save(tmp_path, scheduler=diffusers.DPMSolverMultistepScheduler())))
    assert LATENT_STEPS not in model.info.features
    with pytest.raises(ValueError, match="DDIMScheduler"):
        model.trace([asked()])
    assert len(model.generate([asked()])) == 1


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asked(steps=101), "steps: 101"),
        (asked(side=4096), "too large"),
        (asked(side=SIDE + 1), "multiples of 2"),
    ],
)
def test_one_bad_request_costs_no_other(model, request_, reason):
    bad, good = model.generate([request_, asked(steps=1)])
    assert reason in str(bad)
    assert isinstance(good, bytes)


def test_latents_that_are_none_are_refused_one_by_one(model):
    size = 4 * 4 * (SIDE // 2) ** 2
    hostile = np.full(size // 4, np.nan, dtype="<f4").tobytes()
    short, nan, late, good = model.steps(
        [
            StepRequest(asked(), 1, b"short"),
            StepRequest(asked(), 1, hostile),
            StepRequest(asked(), 4, bytes(size)),
            StepRequest(asked(), 1, bytes(size)),
        ]
    )
    assert "single precision" in str(short)
    assert "finite" in str(nan)
    assert "not one of 4" in str(late)
    assert len(good) == size
    (bad,) = model.decode([DecodeRequest(hostile, SIDE, SIDE)])
    assert isinstance(bad, ValueError)


def test_the_safety_checker_refuses_what_it_flags(tmp_path):
    place = str(save(tmp_path, **checker(flags=True)))
    model = load_image(place)
    assert model.info.extra["safety"] == "on"
    (flagged,) = model.generate([asked()])
    assert "safety checker" in str(flagged)
    free = load_image(place, safety=False)
    assert free.info.extra["safety"] == "off"
    assert free.info.digest == model.info.digest
    assert isinstance(free.generate([asked()])[0], bytes)


def test_the_safety_checker_lets_the_rest_through(tmp_path, model):
    checked = load_image(str(save(tmp_path, **checker(flags=False))))
    assert checked.info.extra["safety"] == "on"
    (png,) = checked.generate([asked()])
    assert apart(png, model.generate([asked()])[0]) < 0.1
    (traced,) = checked.trace([asked()])
    assert apart(checked.decode([DecodeRequest(traced.latents[-1], SIDE, SIDE)])[0], png) < 0.1


def test_drawing_ends_between_two_steps_when_nobody_waits(model):
    seen = []

    def progress(step, places):
        seen.append((step, tuple(places)))
        return step < 3

    with pytest.raises(Abandoned):
        model.generate([asked(seed=1, steps=50), asked(seed=2, steps=50)], progress)
    assert seen == [(step, (0, 1)) for step in (1, 2, 3)]


def test_pickled_weights_are_refused(folder, tmp_path):
    other = tmp_path / "pickled"
    other.mkdir()
    for path in folder.rglob("*"):
        copy = other / path.relative_to(folder)
        if path.is_dir():
            copy.mkdir()
        elif path.suffix != ".safetensors" or path.parent.name != "unet":
            copy.write_bytes(path.read_bytes())
    torch.save({"a": torch.zeros(1)}, other / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelNotFound, match="safetensors"):
        load_image(str(other))


def test_a_pipeline_without_prompts_is_refused(tmp_path):
    unet = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained(tmp_path / "other")
    with pytest.raises(ModelNotFound, match="takes no prompt"):
        load_image(str(tmp_path / "other"))


async def test_concurrent_single_requests_share_a_batch(engine, model, monkeypatch):
    sizes, draw = [], model.sampler.draw

    def counted(batch, watch=None):
        sizes.append(len(batch))
        return draw(batch, watch)

    monkeypatch.setattr(model.sampler, "draw", counted)
    other = replace(asked(), steps=2)
    pngs = await asyncio.gather(
        *(engine.image(asked(seed=number)) for number in range(6)), engine.image(other)
    )
    assert len(pngs) == 7
    assert max(sizes) >= 5
    assert len(sizes) <= 4


async def test_who_leaves_stops_the_work_of_nobody_else(engine, model, monkeypatch):
    steps, draw = [], model.sampler.draw

    def counted(batch, watch=None):
        return draw(batch, lambda number, latents: (steps.append(number), watch(number, latents))[1])

    monkeypatch.setattr(model.sampler, "draw", counted)
    with pytest.raises(EngineTimeout):
        await engine.image(asked(steps=100), deadline=0.1)
    assert len(await engine.image(asked(steps=1))) > 100
    assert len(steps) < 100


async def test_traces_steps_and_pictures_over_the_wire(engine, model):
    (traced,) = await engine.traces([asked()])
    assert traced.png == (await engine.image(asked()))
    (again,) = await engine.steps([StepRequest(asked(), 3, traced.latents[2])])
    assert np.allclose(np.frombuffer(again, "<f4"), np.frombuffer(traced.latents[3], "<f4"), atol=1e-3)
    (png,) = await engine.decode([DecodeRequest(traced.latents[-1], SIDE, SIDE)])
    assert apart(png, traced.png) < 0.1


async def test_bad_requests_are_told_what_is_wrong(engine):
    with pytest.raises(EngineRefused, match="multiples of 2") as refused:
        await engine.image(asked(side=SIDE + 1))
    assert refused.value.status == 400
    with pytest.raises(EngineRefused, match="too large"):
        await engine.image(asked(side=2048))


async def test_progress_is_told_step_by_step(engine):
    *steps, pngs = [one async for one in engine.drawings([asked(), asked(seed=2)])]
    assert steps == [1, 2, 3, 4]
    assert apart(pngs[0], await engine.image(asked())) < 0.1


async def test_any_openai_client_can_ask_for_pictures(model):
    server = EngineServer(LocalHost([model]))
    endpoint = await server.start("127.0.0.1:0")
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{endpoint}/v1/images/generations",
                json={"prompt": "a cat", "n": 2, "size": f"{SIDE}x{SIDE}", "steps": 2},
            ) as response,
        ):
            body = await response.json()
    finally:
        await server.stop()
    one, other = (base64.b64decode(row["b64_json"]) for row in body["data"])
    assert pixels(one).shape == (SIDE, SIDE, 3)
    assert apart(one, other) > 10
    assert b"a cat" not in one
