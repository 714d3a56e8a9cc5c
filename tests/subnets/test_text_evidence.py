"""The text subnet's verdicts from evidence values: no engine, every rule of shape, share, margin and volume."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines import EngineUnfit, ModelInfo, TokenEvidence
from ranvier.protocol import Answered, Target
from ranvier.subnets import Answer, Context, Peer, Record, Round, Task, audit_rate
from ranvier.subnets.subnet import bound_seed
from ranvier.subnets.text import TextGeneration, TextSettings, TextSubnet
from ranvier.subnets.text.evidence import MARGIN_CAP, Pool, fault, shipped_thresholds
from ranvier.subnets.text.families import Prompt
from ranvier.subnets.tournament import DictMemory

END = 2
LIMITS = shipped_thresholds()
TOKENS = 48


def request(**changes) -> TextGeneration:
    return TextGeneration(**{"prompt": "Why?", "challenge": "ab" * 32, "max_tokens": TOKENS, **changes})


def reply(ids=tuple(range(100, 100 + TOKENS)), text="because", finish="length") -> TextGeneration.Reply:
    return TextGeneration.Reply(text=text, token_ids=ids, finish_reason=finish)


def evidence(ids, wrong=0, margin=2.0, entropy=2.0, text="because", last=None) -> TokenEvidence:
    """Evidence over ``ids``, of which the first ``wrong`` are not the seeded choice."""
    expected = [token + 1 if place < wrong else token for place, token in enumerate(ids)]
    if last is not None:
        expected[-1] = last
    margins = tuple(margin if place < wrong else 0.0 for place in range(len(ids)))
    return TokenEvidence(tuple(expected), margins, (0.0,) * len(ids), (entropy,) * len(ids), (END,), text)


class Engine:
    """Answers `score` with prepared evidence and remembers what it was asked."""

    def __init__(self, make=evidence) -> None:
        self.make, self.asked = make, []

    async def require(self, kind, features=(), model=None) -> ModelInfo:
        return ModelInfo("m", kind, "d", "bfloat16", "cpu", tuple(features), {"vocabulary": 1000})

    async def score(self, requests, *, model=None):
        self.asked += requests
        return [self.make(one.token_ids) for one in requests]


def subnet(engine, memory=None) -> TextSubnet:
    return TextSubnet(Context(1, "validator", TextSettings(), engine=engine, memory=memory or DictMemory()))


def answer(given=None, name="miner", elapsed=1.0) -> Answer[TextGeneration]:
    peer = Peer(0, name, Target(name, "127.0.0.1", 9))
    return Answer(Task(peer, request()), Answered(peer.target, elapsed, given or reply(), 100))


async def last_verdict(make, rounds=8, given=None):
    played = subnet(Engine(make))
    for _ in range(rounds):
        (verdict,) = await played.score(_round(), [answer(given)])
    return verdict


def _round():
    return Round(1, 1, 1, "0xab", "validator", (), secret=b"s" * 32)


# the shape of an answer


@pytest.mark.parametrize(
    ("given", "seen", "why"),
    [
        (reply((5, END, 6)), evidence((5, END, 6)), "goes on after the end token"),
        (reply((5, 6), finish="stop"), evidence((5, 6)), "stops without the end token"),
        (reply((5, END), finish="stop"), evidence((5, END), last=7), "ends where the model goes on"),
        (reply((5, 6)), evidence((5, 6)), "stops before the limit"),
        (reply(text="another"), evidence(range(TOKENS)), "the text is not what its tokens spell"),
        (reply(), evidence(range(TOKENS)), None),
        (reply((5, END), finish="stop"), evidence((5, END)), None),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_the_shape_of_an_answer(given, seen, why) -> None:
    assert fault(request(), given, seen) == why


@pytest.mark.parametrize(
    "ids", [(), (5, 1000), (5, -1), tuple(range(TOKENS + 1))], ids=["none", "big", "small", "long"]
)
async def test_tokens_that_cannot_be_scored_cost_only_their_miner(ids) -> None:
    engine = Engine()
    verdicts = await subnet(engine).score(_round(), [answer(reply(ids)), answer(name="other")])
    assert verdicts[0].value == 0
    assert verdicts[1].value != 0
    assert len(engine.asked) == 1, "the engine never sees them"


# pooling


async def test_thin_evidence_is_no_score_and_pools_over_rounds() -> None:
    played = subnet(Engine())
    first = (await played.score(_round(), [answer()]))[0]
    second = (await played.score(_round(), [answer()]))[0]
    assert first.value is None
    assert second.value == pytest.approx(0.8), "volume 1, speed band in the middle"
    assert second.evidence["tokens"] == 2 * TOKENS


async def test_tokens_without_entropy_prove_nothing() -> None:
    verdict = await last_verdict(lambda ids: evidence(ids, entropy=0.1))
    assert verdict.value is None
    assert verdict.evidence["tokens"] == 0


async def test_pools_are_kept_by_hotkey() -> None:
    memory = DictMemory()
    played = subnet(Engine(), memory)
    for _ in range(2):
        await played.score(_round(), [answer(name="a")])
    (fresh,) = await subnet(Engine(), memory).score(_round(), [answer(name="b")])
    assert fresh.value is None, "another miner's record is not inherited"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e9), st.floats(0, 11)), min_size=1, max_size=60))
def test_pools_are_bounded(rows) -> None:
    ids = tuple(range(len(rows)))
    seen = TokenEvidence(
        tuple(token if same else token + 1 for token, (same, _, _) in zip(ids, rows, strict=True)),
        *(
            tuple(column)
            for column in ([gap for _, gap, _ in rows], [0.0] * len(rows), [nats for *_, nats in rows])
        ),
        (END,),
    )
    pool = Pool()
    for _ in range(12):
        pool = pool.add(seen, ids, LIMITS)
    assert pool.tokens <= LIMITS.window
    assert 0 <= pool.share <= 1
    assert 0 <= pool.margin <= MARGIN_CAP
    assert Pool.read(pool.stored()) == pool


def test_the_newest_tokens_push_the_oldest_out() -> None:
    ids, pool = tuple(range(TOKENS)), Pool()
    for wrong in (TOKENS, *[0] * (LIMITS.window // TOKENS)):
        pool = pool.add(evidence(ids, wrong), ids, LIMITS)
    assert (pool.tokens, pool.share) == (LIMITS.window, 1.0)


# share and margin


@pytest.mark.parametrize(
    ("wrong", "margin", "value", "caught"),
    [
        (0, 0.0, 0.8, False),
        (1, 0.02, 0.8, False),
        (5, 0.02, 0.0, False),
        (2, 0.15, 0.0, False),
        (20, 0.1, 0.0, True),
        (2, 15.0, 0.0, True),
    ],
    ids=[
        "same dtype",
        "honest rounding",
        "too many",
        "8-bit weights",
        "another model",
        "repaired only where the margin is wide",
    ],
)
async def test_share_and_margin_decide(wrong, margin, value, caught) -> None:
    verdict = await last_verdict(lambda ids: evidence(ids, wrong, margin))
    assert (verdict.value, verdict.caught) == (pytest.approx(value), caught), verdict.reason


async def test_what_a_full_window_refuses_may_be_chance_in_a_thin_one() -> None:
    thin, full = [await last_verdict(lambda ids: evidence(ids, 2, 0.15), rounds=rounds) for rounds in (2, 8)]
    assert thin.value == pytest.approx(0.8)
    assert (full.value, full.caught) == (0.0, False)


@given(st.integers(64, 384), st.integers(64, 384))
def test_limits_tighten_with_evidence_and_stay_above_proof(fewer, more) -> None:
    fewer, more = sorted((fewer, more))
    assert LIMITS.caught_share < LIMITS.lowest_share(fewer) <= LIMITS.lowest_share(more)
    assert LIMITS.caught_margin > LIMITS.highest_margin(fewer) >= LIMITS.highest_margin(more)


@given(st.integers(0, TOKENS), st.integers(0, TOKENS))
def test_more_wrong_tokens_never_help(fewer, more) -> None:
    if fewer > more:
        fewer, more = more, fewer
    ids = tuple(range(TOKENS))
    better, worse = (Pool().add(evidence(ids, wrong), ids, LIMITS) for wrong in (fewer, more))
    assert worse.share <= better.share
    assert worse.margin >= better.margin


# pay


async def test_volume_is_what_was_verified() -> None:
    ids = (*range(100, 123), END)
    verdict = await last_verdict(evidence, given=reply(ids, finish="stop"))
    assert verdict.value == pytest.approx(0.8 * len(ids) / TOKENS)


async def test_speed_moves_pay_within_its_band_and_only_among_the_valid() -> None:
    answers = [
        answer(name="fast", elapsed=1.0),
        answer(name="slow", elapsed=9.0),
        answer(reply(()), "failed", 0.001),
    ]
    played = subnet(Engine())
    for _ in range(2):
        fast, slow, failed = await played.score(_round(), answers)
    assert (fast.value, slow.value, failed.value) == (1.0, pytest.approx(0.6), 0.0)


async def test_correctness_is_reported_and_never_paid() -> None:
    played = subnet(Engine())
    right, wrong = (
        Answer(Task(one.task.peer, request(), Prompt("sum", "How many?", expected)), one.outcome)
        for one, expected in ((answer(name="a"), "because"), (answer(name="b"), "41"))
    )
    for _ in range(2):
        verdicts = await played.score(_round(), [right, wrong])
    assert [verdict.evidence["correct"] for verdict in verdicts] == [1.0, 0.0]
    assert verdicts[0].value == verdicts[1].value == pytest.approx(0.8)


# what is asked of the engine


async def test_the_engine_is_asked_under_the_miners_and_the_validators_own_keys() -> None:
    engine = Engine()
    await subnet(engine).score(_round(), [answer(name="a"), answer(name="b")])
    seeds = [one.sampling.seed for one in engine.asked]
    challenge = bytes.fromhex(request().challenge)
    assert seeds == [bound_seed(challenge, name, "validator") for name in ("a", "b")]
    assert len(engine.asked) == 2, "one batch"


async def test_without_an_engine_nobody_is_scored() -> None:
    with pytest.raises(EngineUnfit, match="--engine"):
        await subnet(None).score(_round(), [answer()])


def test_a_caught_miner_is_audited_always() -> None:
    assert audit_rate(0.05, Record(1000, caught=True)) == 1
