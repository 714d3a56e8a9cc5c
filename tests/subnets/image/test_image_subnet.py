"""The image subnet with the shipped model behind a real engine server: honest pictures pass, every cheat is refused."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from ranvier.engines import EngineClient, EngineUnfit, EngineUnreachable
from ranvier.engines.image.calibration import load_calibration
from ranvier.engines.image.png import read_png
from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Standing,
    Target,
    keypair_from_uri,
)
from ranvier.subnets import Answer, Context, Peer, Round, judge
from ranvier.subnets.image import ImageGeneration, ImageMiner, ImageSettings, ImageSubnet
from ranvier.subnets.image.cheats import CHEATS, MORE_CHEATS, Cached, Relay
from ranvier.subnets.image.miner import drawing
from ranvier.subnets.image.tasks import compose

pytestmark = pytest.mark.models

VALIDATOR = "validator"
CALLER = Caller(hotkey=VALIDATOR, uid=0, stake=1, validator_permit=True)


def context(hotkey, engine, **parts):
    return Context(netuid=1, hotkey=hotkey, settings=ImageSettings(), engine=engine, **parts)


def a_round(*hotkeys, number=1, validator=VALIDATOR):
    peers = tuple(Peer(uid, key, Target(key, "127.0.0.1", 1)) for uid, key in enumerate(hotkeys, 1))
    return Round(number, 1, 100, "0xabc", validator, peers, b"s" * 32)


def answered(task, reply, elapsed=1.0):
    return Answer(task, Answered(task.peer.target, elapsed, reply, 1000))


async def verdicts(engine, round, miners):
    subnet = ImageSubnet(context(VALIDATOR, engine))
    answers = []
    for task in subnet.tasks(round):
        reply = await miners[task.peer.hotkey].answer(task.request, CALLER)
        wire = ImageGeneration.Reply.model_validate_json(reply.model_dump_json())
        answers.append(answered(task, wire))
    return await judge(subnet, round, answers)


async def test_honest_miners_pass_alone_and_together(engine):
    keys = ("a", "b", "c")
    miners = {key: ImageMiner(context(key, engine)) for key in keys}
    for hotkeys in (keys, keys[:1]):
        for verdict in await verdicts(engine, a_round(*hotkeys), miners):
            assert verdict.reason.startswith("same picture"), verdict
            assert 0.5 < verdict.value <= 1
            assert not verdict.caught


@pytest.mark.parametrize(
    "name", [name for name in {**CHEATS, **MORE_CHEATS} if name not in ("relay", "cached")]
)
async def test_cheats_earn_nothing(engine, name):
    cheat = {**CHEATS, **MORE_CHEATS}[name].miner(context("a", engine))
    for verdict in await verdicts(engine, a_round("a"), {"a": cheat}):
        assert verdict.value == 0
        assert "picture" in verdict.reason or "doubtful" in verdict.reason


async def test_a_cached_picture_passes_once_and_is_caught_from_then_on(engine):
    miners = {"a": Cached(context("a", engine))}
    (first,) = await verdicts(engine, a_round("a", number=1), miners)
    (second,) = await verdicts(engine, a_round("a", number=2), miners)
    assert first.value
    assert second.value == 0
    assert second.caught


async def test_a_relayed_picture_is_caught(engine):
    """Over the wire: the honest miner draws for the hotkey that asked it, which is the relay's."""
    honest, cheat = keypair_from_uri("//honest"), keypair_from_uri("//cheat")
    door = Door()
    door.update({cheat.ss58_address: Standing(uid=7, stake=5, validator_permit=True)})
    miner = ImageMiner(context(honest.ss58_address, engine))
    axon = Axon(honest, door=door)
    axon.serve(ImageGeneration, miner.answer)
    async with axon, Dendrite(cheat, addresses=AddressPolicy.local()) as dendrite:
        target = Target(hotkey=honest.ss58_address, host="127.0.0.1", port=axon.port)
        peers = (Peer(uid=1, hotkey=honest.ss58_address, target=target),)
        relay = Relay(context(cheat.ss58_address, engine, dendrite=dendrite, peers=lambda: peers))
        (verdict,) = await verdicts(engine, a_round(cheat.ss58_address), {cheat.ss58_address: relay})
    assert verdict.value == 0
    assert verdict.caught


async def test_a_picture_drawn_small_and_enlarged_earns_nothing(engine, model):
    round = a_round("a")
    subnet = ImageSubnet(context(VALIDATOR, engine))
    (task,) = subnet.tasks(round)
    pixels = model.draw([drawing(task.request, "a", VALIDATOR)])[0]
    large = pixels[::2, ::2].repeat(2, 0).repeat(2, 1)
    (verdict,) = await subnet.score(
        round, [answered(task, ImageGeneration.Reply(png=model.encode(large, 12), dtype="float32"))]
    )
    assert verdict.value == 0


async def test_right_notes_on_a_wrong_picture_count_for_nothing(engine, model):
    round = a_round("a")
    subnet = ImageSubnet(context(VALIDATOR, engine))
    (task,) = subnet.tasks(round)
    png = model.encode(np.zeros((32, 32, 3), dtype=np.uint8), 12)
    (verdict,) = await subnet.score(round, [answered(task, ImageGeneration.Reply(png=png, dtype="float32"))])
    assert verdict.caught


async def test_one_miners_garbage_costs_only_that_miner(engine):
    round = a_round("a", "b")
    subnet = ImageSubnet(context(VALIDATOR, engine))
    first, second = subnet.tasks(round)
    good = await ImageMiner(context("b", engine)).answer(second.request, CALLER)
    bad = ImageGeneration.Reply(png=b"\x89PNG\r\n\x1a\nrubbish", dtype="float32")
    one, two = await subnet.score(round, [answered(first, bad), answered(second, good)])
    assert (one.value, one.caught) == (0.0, False)
    assert two.value


async def test_a_faster_miner_earns_a_little_more(engine):
    round = a_round("a", "b")
    subnet = ImageSubnet(context(VALIDATOR, engine))
    answers = [
        answered(
            task, await ImageMiner(context(task.peer.hotkey, engine)).answer(task.request, CALLER), seconds
        )
        for task, seconds in zip(subnet.tasks(round), (2.0, 1.0), strict=True)
    ]
    slow, fast = await subnet.score(round, answers)
    assert slow.value < fast.value <= 1
    assert slow.value > 0.5


async def test_a_model_without_its_own_thresholds_is_refused(engine, model, tmp_path):
    other = load_calibration().model_copy(update={"digest": "0" * 64})
    coarse = load_calibration().verifiers["bfloat16"].model_copy(update={"ratio": 3.0})
    failing = load_calibration().model_copy(
        update={"verifiers": {**load_calibration().verifiers, "bfloat16": coarse}}
    )
    elsewhere = load_calibration().model_copy(update={"device": "cuda:0"})
    for gate, reason in (
        (other, "measure yours"),
        (elsewhere, "scenes on cuda:0"),
        (failing, "fails the gate"),
    ):
        file = tmp_path / "gate.json"
        file.write_text(gate.model_dump_json())
        given = replace(context(VALIDATOR, engine), settings=ImageSettings(gate=file))
        with pytest.raises(EngineUnfit, match=reason):
            await ImageSubnet(given).score(a_round("a"), [])


async def test_a_dead_engine_of_the_validator_scores_nobody(tmp_path):
    async with EngineClient(f"unix:{tmp_path}/none.sock") as nobody:
        subnet, round = ImageSubnet(context(VALIDATOR, nobody)), a_round("a")
        with pytest.raises(EngineUnreachable):
            await subnet.score(round, [])
        (task,) = subnet.tasks(round)
        (verdict,) = await judge(subnet, round, [answered(task, ImageGeneration.Reply(png=b"x"))])
    assert verdict.value is None


def test_tasks_are_of_the_secret_and_of_the_miner():
    subnet = ImageSubnet(context(VALIDATOR, None))
    one, two = subnet.tasks(a_round("a", "b"))
    (again, *_) = subnet.tasks(a_round("a", "b"))
    (other, *_) = subnet.tasks(replace(a_round("a", "b"), secret=b"t" * 32))
    assert one.request == again.request
    assert len({task.request.challenge for task in (one, two, other)}) == 3
    assert "seed" not in ImageGeneration.model_fields


def test_prompts_are_many():
    prompts = {compose(random.Random(number)) for number in range(2000)}
    assert len(prompts) > 1990


def test_noise_differs_by_miner_caller_and_challenge():
    request = ImageGeneration(prompt="p", challenge="ab" * 32)
    other = ImageGeneration(prompt="p", challenge="cd" * 32)
    seeds = {
        drawing(asked, miner, caller).seed
        for asked, miner, caller in itertools.product((request, other), "xy", "xy")
    }
    assert len(seeds) == 8


def test_a_reply_travels_as_it_was(model):
    png = model.encode(np.zeros((32, 32, 3), dtype=np.uint8), 1)
    wire = ImageGeneration.Reply.model_validate_json(ImageGeneration.Reply(png=png).model_dump_json())
    assert wire.png == png
    assert not read_png(wire.png, 32, 32).any()
