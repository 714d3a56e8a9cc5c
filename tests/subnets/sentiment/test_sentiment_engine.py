"""The default miner against a real engine process's server, over its HTTP interface."""

import pytest

from ranvier.engines.client import EngineClient
from ranvier.engines.local import LocalHost
from ranvier.engines.sentiment.catalog import load_sentiment
from ranvier.engines.sentiment.sentences import prepared_path
from ranvier.engines.server import EngineServer
from ranvier.protocol import Caller
from ranvier.subnets.sentiment import Passage, Sentiment, SentimentSettings
from ranvier.subnets.sentiment.cheats import PrunedCheat
from ranvier.subnets.sentiment.miner import SentimentMiner
from ranvier.subnets.subnet import Context

pytestmark = pytest.mark.models

CALLER = Caller(hotkey="validator", uid=0, stake=0, validator_permit=True)


async def test_honest_and_pruned_miner_share_an_engine_and_differ():
    body = prepared_path().parents[1] / "minilm"
    if not (body / "model.safetensors").is_file():
        pytest.skip("run `ranvier models prepare` first")
    server = EngineServer(
        LocalHost([load_sentiment("sentiment", body), load_sentiment("sentiment-pruned", body)])
    )
    endpoint = await server.start("127.0.0.1:0")
    request = Sentiment(
        passages=(Passage(text="A gorgeous, witty, moving film."), Passage(text="Dull and far too long."))
    )
    try:
        async with EngineClient(endpoint) as engine:
            await engine.require("classify", frozenset())
            context = Context(netuid=1, hotkey="m", settings=SentimentSettings(), engine=engine)
            pruned = Context(
                netuid=1, hotkey="p", settings=SentimentSettings(), engine=engine, model="sentiment-pruned"
            )
            honest = await SentimentMiner(context).answer(request, CALLER)
            cheat = await PrunedCheat(pruned).answer(request, CALLER)
    finally:
        await server.stop()
    assert [opinion.label for opinion in honest.opinions] == ["positive", "negative"]
    assert honest != cheat
