"""A picture is verified in the dtype that its miner declares: rounding serves nobody, and no dtype is believed."""

import itertools
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from image_network import VALIDATOR, Network

from ranvier.engines import EngineClient, EngineUnfit
from ranvier.engines.image.calibration import load_calibration
from ranvier.engines.local import LocalHost
from ranvier.engines.server import EngineServer
from ranvier.subnets import Context, judge
from ranvier.subnets.image import ImageMiner, ImageSettings, ImageSubnet
from ranvier.subnets.image.cheats import OneStepFewer

pytestmark = pytest.mark.models

SERVED = {"float32": "scenes", "bfloat16": "scenes@bfloat16"}
AUDITS = {"again": ImageSettings(), "steps": ImageSettings(audit="steps", checks=12, opening=10)}


@pytest.fixture
async def fine(models, tmp_path):
    """An engine that holds float32 alone, and can be given the other."""
    host = LocalHost([models["float32"]])
    server = EngineServer(host)
    endpoint = await server.start(f"unix:{tmp_path}/fine.sock")
    async with EngineClient(endpoint) as client:
        yield client, host
    await server.stop()


def ready(engine, **settings):
    return ImageSubnet(Context(1, VALIDATOR.ss58_address, ImageSettings(**settings), engine)).ready()


def declaring(dtype, kind=ImageMiner):
    class Declaring(kind):
        declared = dtype

        async def reply(self, png, root=None, *, dtype=None):
            return await super().reply(png, root, dtype=self.declared)

    return Declaring


async def test_one_engine_serves_the_same_model_in_both(engine):
    found = {one.dtype: one for one in await engine.info()}
    assert {dtype: one.id for dtype, one in found.items()} == SERVED
    assert len({one.digest for one in found.values()}) == 1
    await ready(engine)
    await ready(engine, audit="steps")


@pytest.mark.parametrize(("dtype", "audit"), list(itertools.product(SERVED, AUDITS)))
async def test_an_honest_miner_of_each_is_paid(engine, dtype, audit):
    async with Network(engine, settings=AUDITS[audit], model=SERVED[dtype]) as network:
        round_, (answer,) = await network.round()
        (verdict,) = await judge(network.subnet(), round_, [answer])
    assert answer.reply.dtype == dtype
    assert verdict.value, verdict
    assert verdict.evidence["mean"] == pytest.approx(0, abs=0.02)


async def test_miners_of_both_are_judged_in_one_round(engine):
    async with Network(engine) as fine, Network(engine, model=SERVED["bfloat16"]) as coarse:
        round_, (one,) = await fine.round()
        _, (other,) = await coarse.round(2)
        for answers in ([one, other, one], [other, one, other]):
            verdicts = await judge(fine.subnet(), round_, answers)
            assert all(verdict.value for verdict in verdicts), verdicts


@pytest.mark.parametrize(("drawn", "declared"), list(itertools.product(SERVED, SERVED)))
async def test_one_step_fewer_hides_in_no_rounding(engine, drawn, declared):
    async with Network(engine, declaring(declared, OneStepFewer), model=SERVED[drawn]) as network:
        for number in range(2):
            verdict = await network.verdict(number)
            assert verdict.value == 0, verdict
            assert "same picture" not in verdict.reason


@pytest.mark.parametrize(("drawn", "audit"), list(itertools.product(SERVED, AUDITS)))
async def test_another_dtype_than_is_declared_is_another_computation(engine, drawn, audit):
    (declared,) = set(SERVED) - {drawn}
    async with Network(engine, declaring(declared), AUDITS[audit], SERVED[drawn]) as network:
        verdict = await network.verdict()
    assert verdict.value == 0, verdict


@pytest.mark.parametrize(("declared", "reason"), [("", "no dtype is declared"), ("int4", "int4 is declared")])
@pytest.mark.parametrize("audit", AUDITS)
async def test_no_dtype_and_unknown_ones_are_refused_with_a_reason(engine, audit, declared, reason):
    async with Network(engine, declaring(declared), AUDITS[audit]) as network, Network(engine) as other:
        round_, (bad,) = await network.round()
        _, (good,) = await other.round()
        refused, *_ = verdicts = await judge(network.subnet(), round_, [bad, good])
    assert (refused.value, refused.caught) == (0.0, False)
    assert reason in refused.reason
    assert "serve the model in float32 or bfloat16" in refused.reason
    assert audit == "steps" or verdicts[1].value


async def test_an_engine_without_a_dtype_judges_nobody_and_says_what_to_start(fine, engine):
    client, _ = fine
    with pytest.raises(EngineUnfit, match="image=scenes@float32 --model image=scenes@bfloat16"):
        await ready(client)
    async with Network(engine, model=SERVED["bfloat16"]) as coarse, Network(engine) as honest:
        round_, (one,) = await coarse.round()
        _, (other,) = await honest.round()
        coarse.engine = client
        verdicts = await judge(coarse.subnet(), round_, [one, other])
    assert [verdict.value for verdict in verdicts] == [None, None]
    assert all("bfloat16" in verdict.reason for verdict in verdicts)


async def test_an_engine_that_is_started_anew_with_more_is_looked_at_again(fine, models):
    client, host = fine
    with pytest.raises(EngineUnfit):
        await ready(client)
    host.serving += LocalHost([models["bfloat16"]]).serving
    await ready(client)


async def test_a_gate_of_one_dtype_asks_for_no_other_and_refuses_the_others(fine, engine, tmp_path):
    client, _ = fine
    gate = load_calibration()
    alone = gate.verifiers["float32"]
    alone = alone.model_copy(update={"miners": {"float32": alone.miners["float32"]}})
    file = tmp_path / "gate.json"
    file.write_text(gate.model_copy(update={"verifiers": {"float32": alone}}).model_dump_json())
    await ready(client, gate=file)
    settings = ImageSettings(gate=file)
    async with Network(engine, settings=settings, model=SERVED["bfloat16"]) as coarse:
        round_, answers = await coarse.round()
        coarse.engine = client
        (verdict,) = await judge(coarse.subnet(), round_, answers)
    assert verdict.value == 0
    assert "serve the model in float32" in verdict.reason


async def test_where_cheats_are_clear_of_its_rounding_one_dtype_verifies_another(fine, engine, tmp_path):
    """Of a model whose pictures were measured so, thresholds between dtypes do."""
    client, _ = fine
    gate = load_calibration()
    file = tmp_path / "gate.json"
    file.write_text(parted(gate).model_dump_json())
    settings = ImageSettings(gate=file)
    await ready(client, gate=file)
    async with Network(engine, settings=settings, model=SERVED["bfloat16"]) as coarse:
        round_, answers = await coarse.round()
        coarse.engine = client
        (verdict,) = await judge(coarse.subnet(), round_, answers)
    assert verdict.value, verdict
    assert verdict.evidence["mean"] > 0.02


def parted(gate):
    """As if every cheat lay ten times as far away as it does."""
    verifier = gate.verifiers["float32"]
    cheats = {
        name: one.model_copy(update={"mean_q01": 10 * one.mean_q01, "coarse_q01": 10 * one.coarse_q01})
        for name, one in verifier.cheats.items()
    }
    pair = verifier.miners["bfloat16"]
    links = tuple(link.model_copy(update={"skipped": 10 * link.skipped}) for link in pair.links)
    limits = pair.thresholds.model_copy(update={"same_mean": 1.0, "same_coarse": 1.0, "other_mean": 2.0})
    changed = pair.model_copy(update={"links": links, "thresholds": limits})
    verifier = verifier.model_copy(
        update={"cheats": cheats, "miners": {**verifier.miners, "bfloat16": changed}}
    )
    return gate.model_copy(update={"verifiers": {**gate.verifiers, "float32": verifier}})


async def test_what_is_verified_is_what_was_declared_in_the_reply(engine):
    """Not what some later look at the miner's engine would say."""
    async with Network(engine) as network:
        round_, (answer,) = await network.round()
        changed = replace(
            answer,
            outcome=replace(answer.outcome, reply=answer.reply.model_copy(update={"dtype": "bfloat16"})),
        )
        right, wrong = await judge(network.subnet(), round_, [answer, changed])
    assert right.value
    assert wrong.value == 0
