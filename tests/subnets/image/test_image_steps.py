"""Spot checks of single steps, over the wire: a miner commits, the validator draws, the miner opens."""

from contextlib import AsyncExitStack
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from ranvier.engines import EngineClient, EngineUnfit  # noqa: E402
from ranvier.engines.image.calibration import load_calibration  # noqa: E402
from ranvier.engines.image.model import load_image  # noqa: E402
from ranvier.engines.local import LocalHost  # noqa: E402
from ranvier.engines.server import EngineServer  # noqa: E402
from ranvier.protocol import (  # noqa: E402
    AddressPolicy,
    Answered,
    Axon,
    Dendrite,
    Door,
    Standing,
    Target,
    keypair_from_uri,
)
from ranvier.subnets import Answer, Context, Peer, Round, judge  # noqa: E402
from ranvier.subnets.image import (  # noqa: E402
    ImageMiner,
    ImageSettings,
    ImageSubnet,
    spot,
)
from ranvier.subnets.image.cheats import STEP_CHEATS  # noqa: E402
from ranvier.subnets.image.opening import KeptLatents, OpenLatents  # noqa: E402
from ranvier.subnets.image.synapse import ImageGeneration  # noqa: E402
from ranvier.subnets.verification import root_of  # noqa: E402

pytestmark = pytest.mark.models

VALIDATOR, MINER, STRANGER = (keypair_from_uri(f"//{name}") for name in ("validator", "miner", "stranger"))
ALL_LINKS = ImageSettings(audit="steps", checks=12, opening=10)
TWO_LINKS = ImageSettings(audit="steps", opening=10)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return load_image("scenes")


@pytest.fixture
async def engine(model, tmp_path):
    server = EngineServer(LocalHost([model]))
    endpoint = await server.start(f"unix:{tmp_path}/e.sock")
    async with EngineClient(endpoint) as client:
        yield client
    await server.stop()


class Network:
    """One miner behind an axon, one validator before it."""

    def __init__(self, engine, kind=ImageMiner, settings=ALL_LINKS):
        self.settings, self.engine = settings, engine
        context = Context(1, MINER.ss58_address, settings, engine)
        self.miner = kind(context)
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        door = Door()
        door.update(
            {
                key.ss58_address: Standing(uid, 5, validator_permit=True)
                for uid, key in enumerate((VALIDATOR, STRANGER))
            }
        )
        self.axon = Axon(MINER, door=door)
        self.axon.serve(ImageGeneration, self.miner.answer)
        for synapse, handler in self.miner.further().items():
            self.axon.serve(synapse, handler)
        await self._stack.enter_async_context(self.axon)
        policy = AddressPolicy.local()
        self.dendrite = await self._stack.enter_async_context(Dendrite(VALIDATOR, addresses=policy))
        self.stranger = await self._stack.enter_async_context(Dendrite(STRANGER, addresses=policy))
        self.target = Target(MINER.ss58_address, "127.0.0.1", self.axon.port)
        return self

    async def __aexit__(self, *failure):
        await self._stack.aclose()

    def subnet(self):
        return ImageSubnet(
            Context(1, VALIDATOR.ss58_address, self.settings, self.engine, dendrite=self.dendrite)
        )

    async def round(self, number=1):
        """The answers of a round, and the round."""
        peers = (Peer(1, MINER.ss58_address, self.target),)
        round_ = Round(number, 1, 100, "0xabc", VALIDATOR.ss58_address, peers, b"s" * 32)
        answers = []
        for task in self.subnet().tasks(round_):
            outcome = await self.dendrite.ask(self.target, task.request, deadline=30)
            assert isinstance(outcome, Answered), outcome
            answers.append(Answer(task, outcome))
        return round_, answers

    async def verdict(self, number=1):
        round_, answers = await self.round(number)
        (found,) = await judge(self.subnet(), round_, answers)
        return found


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
    async with Network(engine, STEP_CHEATS[name].miner) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.caught) == (0.0, True)
    assert "was not made" in verdict.reason


async def test_what_is_not_opened_is_not_paid(engine):
    async with Network(engine, STEP_CHEATS["unopened"].miner) as network:
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

    async with Network(engine, Uncommitted) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.reason) == (0.0, "no commitment to latents")


async def test_opening_something_else_than_was_committed_to_is_proof(engine):
    class Changing(ImageMiner):
        """Makes up its latents when it is asked."""

        async def open(self, request, caller):
            found = await super().open(request, caller)
            return found.model_copy(update={"latents": (found.latents[0][::-1], *found.latents[1:])})

    async with Network(engine, Changing) as network:
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

    async with Network(engine, Hostile) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.caught) == (0.0, True)


async def test_latents_of_another_size_are_refused(engine):
    class Short(Rewritten):
        def change(self, latents):
            return [one[:-4] for one in latents]

    async with Network(engine, Short) as network:
        verdict = await network.verdict()
    assert (verdict.value, verdict.caught) == (0.0, True)


async def test_a_true_chain_does_not_prove_another_picture(engine, model):
    class Painted(ImageMiner):
        async def answer(self, request, caller):
            reply = await super().answer(request, caller)
            png = model.encode(np.full((32, 32, 3), 200, np.uint8), request.steps)
            return reply.model_copy(update={"png": png})

    async with Network(engine, Painted) as network:
        verdict = await network.verdict()
    assert verdict.caught
    assert verdict.reason == "the last latents are another picture"


async def test_latents_are_opened_to_nobody_else(engine):
    async with Network(engine) as network:
        _, (answer,) = await network.round()
        asked = OpenLatents(challenge=answer.task.request.challenge, numbers=(1,))
        theirs = await network.stranger.ask(network.target, asked, deadline=5)
        ours = await network.dendrite.ask(network.target, asked, deadline=5)
    assert theirs.code == "declined"
    assert isinstance(ours, Answered)


async def test_a_bfloat16_miner_is_paid(engine, tmp_path):
    server = EngineServer(LocalHost([load_image("scenes", dtype="bfloat16")]))
    endpoint = await server.start(f"unix:{tmp_path}/coarse.sock")
    try:
        async with EngineClient(endpoint) as coarse, Network(coarse) as network:
            round_, answers = await network.round()
            network.engine = engine
            (verdict,) = await judge(network.subnet(), round_, answers)
    finally:
        await server.stop()
    assert answers[0].reply.dtype == "bfloat16"
    assert verdict.value, verdict


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
