"""Spot checks of single steps, over the wire: a miner commits, the validator draws, the miner opens."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from image_network import VALIDATOR, Network

from ranvier.engines import EngineUnfit
from ranvier.engines.image.calibration import load_calibration
from ranvier.protocol import Answered, Target
from ranvier.subnets import Context, Peer, Round, judge
from ranvier.subnets.image import ImageMiner, ImageSettings, ImageSubnet, spot
from ranvier.subnets.image.cheats import STEP_CHEATS
from ranvier.subnets.image.opening import KeptLatents, OpenLatents
from ranvier.subnets.verification import root_of

pytestmark = pytest.mark.models

ALL_LINKS = ImageSettings(audit="steps", checks=12, opening=10)
TWO_LINKS = ImageSettings(audit="steps", opening=10)


async def test_an_honest_miner_is_paid_for_links_that_are_drawn_after_its_commitment(engine):
    async with Network(engine, settings=TWO_LINKS) as network:
        seen = set()
        for number in range(3):
            verdict = await network.verdict(number)
            assert verdict.value, verdict
            assert verdict.reason.startswith("same chain in steps")
            assert verdict.evidence["links"] == 2
            seen.add(verdict.reason)
        assert len(seen) > 1


async def test_a_spot_check_makes_no_more_steps_than_it_drew(engine, model, monkeypatch):
    made, step = [], model.sampler.step

    def counted(batch, number, latents):
        made.extend([number] * len(batch))
        return step(batch, number, latents)

    async with Network(engine, settings=TWO_LINKS) as network:
        round_, answers = await network.round()
        monkeypatch.setattr(model.sampler, "step", counted)
        monkeypatch.setattr(model.sampler, "draw", None)
        (verdict,) = await judge(network.subnet(), round_, answers)
    assert verdict.value
    assert len(made) == 2


@pytest.mark.parametrize("name", ["spliced", "skipping"])
async def test_a_wrong_link_that_is_drawn_is_proof(engine, name):
    async with Network(engine, STEP_CHEATS[name].miner, ALL_LINKS) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.caught) == (0.0, True)
    assert "was not made" in verdict.reason


async def test_what_is_not_opened_is_not_paid(engine):
    async with Network(engine, STEP_CHEATS["unopened"].miner, ALL_LINKS) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.caught) == (0.0, False)
    assert "not opened: declined" in verdict.reason


async def test_where_only_links_are_opened_silence_is_proof(engine, monkeypatch):
    """The miner knows then which links are checked, and would be silent exactly where it cheated."""
    monkeypatch.setattr(spot, "WHOLE", 0)
    async with Network(engine, settings=TWO_LINKS) as network:
        round_, answers = await network.round()
        network.miner.kept = KeptLatents()
        (silent,) = await judge(network.subnet(), round_, answers)
        honest = await network.verdict(2)
    assert (silent.value, silent.caught) == (0.0, True)
    assert honest.value


async def test_without_a_commitment_nothing_is_paid(engine):
    class Uncommitted(ImageMiner):
        async def answer(self, request, caller):
            return await super().answer(request.model_copy(update={"commit": False}), caller)

    async with Network(engine, Uncommitted, ALL_LINKS) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.reason) == (0.0, "no commitment to latents")


async def test_opening_something_else_than_was_committed_to_is_proof(engine):
    class Changing(ImageMiner):
        """Makes up its latents when it is asked."""

        async def open(self, request, caller):
            found = await super().open(request, caller)
            return found.model_copy(update={"latents": (found.latents[0][::-1], *found.latents[1:])})

    async with Network(engine, Changing, ALL_LINKS) as network:
        verdict = await network.verdict()
    assert verdict.caught
    assert "committed to" in verdict.reason


class Rewritten(ImageMiner):
    """Commits to a chain that ``change`` made of the true one, and sends its own picture with it."""

    def change(self, latents):
        return latents

    async def answer(self, request, caller):
        reply = await super().answer(request, caller)
        key = (caller.hotkey, request.challenge)
        numbers = range(1, request.steps + 1)
        changed = self.change(list(self.kept.open(key, tuple(numbers)).latents))
        self.kept.keep(key, changed)
        return reply.model_copy(update={"root": root_of(changed)})


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
async def test_numbers_that_are_none_break_no_verifier(engine, value):
    class Hostile(Rewritten):
        def change(self, latents):
            latents[5] = np.full(len(latents[5]) // 4, value, "<f4").tobytes()
            return latents

    async with Network(engine, Hostile, ALL_LINKS) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.caught) == (0.0, True)


async def test_latents_of_another_size_are_refused(engine):
    class Short(Rewritten):
        def change(self, latents):
            return [one[:-4] for one in latents]

    async with Network(engine, Short, ALL_LINKS) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.caught) == (0.0, True)


async def test_a_true_chain_does_not_prove_another_picture(engine, model):
    class Painted(ImageMiner):
        async def answer(self, request, caller):
            reply = await super().answer(request, caller)
            png = model.encode(np.full((32, 32, 3), 200, np.uint8), request.steps)
            return reply.model_copy(update={"png": png})

    async with Network(engine, Painted, ALL_LINKS) as network:
        verdict = await network.verdict()
    assert verdict.caught
    assert verdict.reason == "the last latents are another picture"


async def test_latents_are_opened_to_nobody_else(engine):
    async with Network(engine, settings=ALL_LINKS) as network:
        _, (answer,) = await network.round()
        asked = OpenLatents(challenge=answer.task.request.challenge, numbers=(1,))
        theirs = await network.stranger.ask(network.target, asked, deadline=5)
        ours = await network.dendrite.ask(network.target, asked, deadline=5)
    assert theirs.code == "declined"
    assert isinstance(ours, Answered)


async def test_without_a_dendrite_spot_checks_are_refused(engine):
    context = Context(1, VALIDATOR.ss58_address, ALL_LINKS, engine)
    round_ = Round(1, 1, 100, "0xabc", VALIDATOR.ss58_address, (), b"s" * 32)
    with pytest.raises(EngineUnfit, match="dendrite"):
        await ImageSubnet(context).score(round_, [])


def test_what_is_kept_is_bounded_in_bytes_and_in_time():
    now = [0.0]
    kept = KeptLatents(most=10, longest=5.0, clock=lambda: now[0])
    for number in range(4):
        kept.keep(("caller", str(number)), [b"1234"])
    assert kept.size == 8
    assert kept.open(("caller", "1"), (1,)) is None
    assert kept.open(("caller", "3"), (1,)).latents == (b"1234",)
    assert kept.open(("caller", "3"), (2,)) is None
    assert kept.open(("other", "3"), (1,)) is None
    now[0] = 6.0
    assert kept.open(("caller", "3"), (1,)) is None
    kept.keep(("caller", "new"), [b"1"])
    assert kept.size == 1
    kept.keep(("caller", "new"), [b"12"])
    assert kept.size == 2


def test_links_are_of_the_secret_and_of_the_commitment():
    gate = load_calibration()
    assert gate.steps * gate.latents <= spot.WHOLE
    peers = (Peer(1, "miner", Target("miner", "127.0.0.1", 1)),)
    one = Round(1, 1, 100, "0xabc", "validator", peers, b"s" * 32)
    draws = {
        tuple(round_.random("miner", purpose=purpose).random() for _ in range(2))
        for round_ in (one, replace(one, secret=b"t" * 32))
        for purpose in ("links|a|1", "links|a|2")
    }
    assert len(draws) == 4
