"""The text subnet on the real model: honest answers pass, every cheat fails, over real sockets."""

from __future__ import annotations

import pytest

from ranvier.engines import EngineClient, ScoreRequest
from ranvier.protocol import Caller
from ranvier.subnets import Context
from ranvier.subnets.text import TextGeneration, TextMiner, TextSettings, TextSubnet
from ranvier.subnets.text.cheats import MORE_CHEATS
from ranvier.subnets.text.miner import messages, sampling
from ranvier.subnets.tournament import BOUNDS, Player, Tournament, field_of

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def models():
    pytest.importorskip("torch")
    from ranvier.engines.load import Loader, Spec

    return Loader().load([Spec.parse("text=smollm2"), Spec.parse("text=smollm2-pruned")])


@pytest.fixture
async def engine(models):
    from ranvier.engines.server import EngineServer

    server = EngineServer(models)
    async with EngineClient(await server.start("127.0.0.1:0")) as client:
        yield client
    await server.stop()


def settings(**changes) -> TextSettings:
    return TextSettings(**{"deadline": 120.0, "max_tokens": 40, **changes})


async def test_an_honest_answer_is_what_one_prefill_expects(engine) -> None:
    request = TextGeneration(prompt="Tell me of a harbour at night.", challenge="17" * 32, max_tokens=40)
    miner = TextMiner(Context(1, "miner", settings(), engine=engine))
    reply = await miner.answer(request, Caller("validator"))
    (seen,) = await engine.score(
        [ScoreRequest(messages(request), sampling(request, "miner", "validator"), reply.token_ids)],
        model="smollm2",
    )
    equal = sum(one == two for one, two in zip(seen.expected, reply.token_ids, strict=True))
    assert equal >= 0.9 * len(reply.token_ids)
    assert seen.text == reply.text
    assert reply.logprobs == pytest.approx(seen.logprob, abs=0.3)


@pytest.mark.timeout(600)
@pytest.mark.slow
async def test_honest_miners_are_paid_and_no_cheat_is(engine) -> None:
    more = (Player(name, cheat.miner, BOUNDS[cheat.kind], cheat.model) for name, cheat in MORE_CHEATS.items())
    players = [*field_of(TextSubnet), *more]
    ranking = await Tournament(TextSubnet, players, engine=engine, settings=settings()).hold(rounds=6)
    assert ranking.violations() == []
    for name in ("relay", "constant", "pruned", "replay", "own-seed"):
        assert "another computation" in ranking.reasons[name][-1], name
    assert set(ranking.reasons["short"]) == {"stops without the end token"}
    assert all("valid" in reason for reason in ranking.reasons["honest-1"][3:])


@pytest.mark.timeout(300)
async def test_a_relay_and_a_pruned_model_are_proven_within_three_rounds(engine) -> None:
    chosen = [player for player in field_of(TextSubnet) if player.name in ("honest-1", "relay", "pruned")]
    ranking = await Tournament(TextSubnet, chosen, engine=engine, settings=settings()).hold(rounds=4)
    assert ranking.violations() == []
    assert ranking.pay["honest-1"] == 1
