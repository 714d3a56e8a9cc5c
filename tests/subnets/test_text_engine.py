"""The text subnet on the real model: honest answers pass, every cheat fails, over real sockets."""

from __future__ import annotations

import pytest

from ranvier.engines import EngineClient, ScoreRequest, TokenEvidence
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
    from ranvier.engines.local import LocalHost
    from ranvier.engines.server import EngineServer

    server = EngineServer(LocalHost(models))
    async with EngineClient(await server.start("127.0.0.1:0")) as client:
        yield client
    await server.stop()


def settings(**changes) -> TextSettings:
    return TextSettings(**{"deadline": 120.0, "max_tokens": 40, **changes})


def asked(request: TextGeneration, miner: str, reply: TextGeneration.Reply) -> ScoreRequest:
    return ScoreRequest(messages(request), sampling(request, miner, "validator"), reply.token_ids)


def share(seen: TokenEvidence) -> float:
    """Share of seeded choices among tokens that could have been others."""
    rows = [gap == 0 for gap, nats in zip(seen.margin, seen.entropy, strict=True) if nats > 0.5]
    return sum(rows) / len(rows)


@pytest.mark.timeout(300)
async def test_one_prefill_tells_honest_from_pruned_and_from_relayed(engine) -> None:
    request = TextGeneration(prompt="Tell me of a harbour at night.", challenge="17" * 32, max_tokens=32)
    honest, pruned = [
        await TextMiner(Context(1, "miner", settings(), engine=engine, model=model)).answer(
            request, Caller("validator")
        )
        for model in ("smollm2", "smollm2-pruned")
    ]
    seen = await engine.score(
        [asked(request, "miner", honest), asked(request, "miner", pruned), asked(request, "relay", honest)],
        model="smollm2",
    )
    assert share(seen[0]) >= 0.85
    assert share(seen[1]) < 0.75
    assert share(seen[2]) < 0.65
    assert seen[0].text == honest.text
    assert honest.logprobs == pytest.approx(seen[0].logprob, abs=0.5)


@pytest.mark.timeout(600)
@pytest.mark.slow
async def test_honest_miners_are_paid_and_no_cheat_is(engine) -> None:
    more = (Player(name, cheat.miner, BOUNDS[cheat.kind], cheat.model) for name, cheat in MORE_CHEATS.items())
    players = [*field_of(TextSubnet), *more]
    ranking = await Tournament(TextSubnet, players, engine=engine, settings=settings()).hold(rounds=6)
    assert ranking.violations() == []
    for name in ("relay", "constant", "pruned", "replay", "own-seed"):
        assert any("another computation" in reason for reason in ranking.reasons[name]), name
    assert set(ranking.reasons["short"]) == {"stops without the end token"}
    assert all("valid" in reason for reason in ranking.reasons["honest-1"][3:])
