"""What every participant earns, with the shipped models and the real sentences: needs `ranvier models prepare`."""

from dataclasses import dataclass

import pytest

from ranvier.engines.sentiment.catalog import load_sentiment
from ranvier.engines.sentiment.sentences import prepared_path
from ranvier.protocol import Answered, Caller, Target
from ranvier.subnets.sentiment import SentimentSettings, SentimentSubnet
from ranvier.subnets.sentiment.cheats import CHEATS, Decompiler
from ranvier.subnets.subnet import Answer, Context, Peer, Round

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = 16
CALLER = Caller(hotkey="validator", uid=0, stake=0, validator_permit=True)
HONEST, WEAKER = "honest", "weaker"


class LoadedEngine:
    """The engine's classify over models loaded in this process."""

    def __init__(self, body):
        import torch

        torch.set_num_threads(1)
        self._models = {
            name: load_sentiment(name, body) for name in ("sentiment", "sentiment-small", "sentiment-pruned")
        }

    async def classify(self, texts, *, model=None, deadline=None):
        return self._models[model or "sentiment"].classify(texts)


class Shelf(dict):
    """Memory in a dict."""

    def get(self, hotkey, key):
        return super().get((hotkey, key))

    def put(self, hotkey, key, value):
        self[hotkey, key] = value


@dataclass
class Line:
    """What one participant came to."""

    average: float = 0.0
    skill: float = 0.0
    hits: float = 0.0


@pytest.fixture(scope="module")
def engine():
    body = prepared_path().parents[1] / "minilm"
    if not (body / "model.safetensors").is_file() or not prepared_path().is_file():
        pytest.skip("run `ranvier models prepare` first")
    return LoadedEngine(body)


def participants(engine):
    """Every participant's miner by name; relays excepted, they need a wire (see test_sentiment_cheats)."""

    def context(model=None):
        return Context(netuid=1, hotkey="miner", settings=SentimentSettings(), engine=engine, model=model)

    weaker, model = SentimentSubnet.weaker
    found = {HONEST: SentimentSubnet.miner(context()), WEAKER: weaker(context(model))}
    found |= {
        name: cheat.miner(context(cheat.model)) for name, cheat in CHEATS.items() if cheat.kind != "relay"
    }
    return found


def peer(uid, name):
    return Peer(uid=uid, hotkey=name, target=Target(hotkey=name, host="127.0.0.1", port=1))


async def season(miners, seed, **settings):
    """Averages, pooled skills and weights after ROUNDS rounds of one validator."""
    chosen = SentimentSettings(**settings)
    subnet = SentimentSubnet(Context(netuid=1, hotkey="validator", settings=chosen, memory=Shelf()))
    peers = tuple(peer(uid, name) for uid, name in enumerate(miners))
    lines = {name: Line() for name in miners}
    for number in range(ROUNDS):
        this = Round(number, 1, number, "0x00", "validator", peers, secret=bytes([seed]) * 32)
        answers = []
        for task in subnet.tasks(this):
            reply = await miners[task.peer.hotkey].answer(task.request, CALLER)
            answers.append(Answer(task, Answered(reply=reply, elapsed=0.1, target=task.peer.target, size=1)))
        for answer, verdict in zip(answers, await subnet.score(this, answers), strict=True):
            line = lines[answer.task.peer.hotkey]
            line.average += (
                chosen.alpha * (verdict.value - line.average) if verdict.value is not None else 0.0
            )
            line.skill = verdict.evidence["skill"]
            line.hits += verdict.evidence["hits"] / ROUNDS
    weights = subnet.weights({name: line.average for name, line in lines.items()})
    return lines, {name: weights.get(name, 0.0) for name in miners}


async def test_honest_work_pays_and_nothing_else_does(engine):
    seasons = [await season(participants(engine), seed) for seed in (1, 2, 3)]
    for lines, weights in seasons:
        honest, weaker = weights[HONEST], weights[WEAKER]
        assert min(honest, weaker) > 0, lines
        for name, line in lines.items():
            if name in CHEATS:
                bound = {"free": 1 / 50, "cheaper": 1 / 5}[CHEATS[name].kind]
                assert weights[name] <= bound * min(honest, weaker), (name, line)
    skills = {who: sum(lines[who].skill for lines, _ in seasons) / len(seasons) for who in (HONEST, WEAKER)}
    assert skills[HONEST] > skills[WEAKER] > 0.2, skills


async def test_the_decompiler_is_the_known_limit(engine):
    """It reads public frames over public sentences; stated in the subnet's README, not hidden."""
    context = Context(netuid=1, hotkey="miner", settings=SentimentSettings())
    lines, _ = await season({"decompiler": Decompiler(context)}, 1)
    assert lines["decompiler"].skill > 0.5
