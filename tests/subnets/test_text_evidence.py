"""The text subnet's verdicts from evidence values: no engine, every rule of shape, doubt, proof and volume."""

from __future__ import annotations

import pytest

from ranvier.engines import EngineUnfit, ModelInfo, TokenEvidence
from ranvier.protocol import Answered, Target
from ranvier.subnets import (
    Answer,
    Context,
    Entry,
    Peer,
    Record,
    Result,
    Round,
    ScoreBook,
    Task,
    audit_rate,
)
from ranvier.subnets.subnet import bound_seed
from ranvier.subnets.text import TextGeneration, TextSettings, TextSubnet
from ranvier.subnets.text.calibrate import shipped
from ranvier.subnets.text.families import Prompt
from ranvier.subnets.tournament import DictMemory
from ranvier.subnets.verification import MinerTests, SequentialTest, ending_fault

END = 2
LEAST = shipped().least
TOKENS = 48


def request(**changes) -> TextGeneration:
    return TextGeneration(**{"prompt": "Why?", "challenge": "ab" * 32, "max_tokens": TOKENS, **changes})


def reply(ids=tuple(range(100, 100 + TOKENS)), text="because", finish="length") -> TextGeneration.Reply:
    return TextGeneration.Reply(text=text, token_ids=ids, finish_reason=finish)


def evidence(ids, wrong=0, margin=2.0, entropy=2.0, text="because", last=None, lean=-1.0) -> TokenEvidence:
    """Evidence over ``ids``, of which the first ``wrong`` are not the seeded choice."""
    expected = [token + 1 if place < wrong else token for place, token in enumerate(ids)]
    if last is not None:
        expected[-1] = last
    margins = [margin if place < wrong else 0.0 for place in range(len(ids))]
    if last is not None:
        margins[-1] = margin
    many = len(ids)
    leans = tuple(lean if place < wrong else 0.0 for place in range(many))
    return TokenEvidence(
        *(tuple(expected), tuple(margins), (0.0,) * many, (entropy,) * many, leans), (END,), text
    )


class Engine:
    """Answers `score` with prepared evidence and remembers what it was asked."""

    def __init__(self, make=evidence, dtype="bfloat16") -> None:
        self.make, self.dtype, self.asked = make, dtype, []

    async def require(self, kind, features=(), model=None) -> ModelInfo:
        return ModelInfo("smollm2", kind, "d", self.dtype, "cpu", tuple(features), {"vocabulary": 1000})

    async def score(self, requests, *, model=None):
        self.asked += requests
        return [self.make(one.token_ids) for one in requests]


def subnet(engine, memory=None) -> TextSubnet:
    return TextSubnet(Context(1, "validator", TextSettings(), engine=engine, memory=memory or DictMemory()))


def answer(given=None, name="miner", elapsed=1.0) -> Answer[TextGeneration]:
    peer = Peer(0, name, Target(name, "127.0.0.1", 9))
    return Answer(Task(peer, request()), Answered(peer.target, elapsed, given or reply(), 100))


async def verdicts_of(make, rounds=8, given=None):
    played = subnet(Engine(make))
    return [(await played.score(_round(), [answer(given)]))[0] for _ in range(rounds)]


async def last_verdict(make, rounds=8, given=None):
    return (await verdicts_of(make, rounds, given))[-1]


def _round():
    return Round(1, 1, 1, "0xab", "validator", (), secret=b"s" * 32)


# the shape of an answer


@pytest.mark.parametrize(
    ("given", "seen", "why"),
    [
        (reply((5, END, 6)), evidence((5, END, 6)), "goes on after the end token"),
        (reply((5, 6), finish="stop"), evidence((5, 6)), "stops without the end token"),
        (reply((5, END), finish="stop"), evidence((5, END), last=7), "ends where the model goes on"),
        (reply((5, END), finish="stop"), evidence((5, END), last=7, margin=0.2), None),
        (reply((5, 6)), evidence((5, 6)), "stops before the limit"),
        (reply(text="another"), evidence(range(TOKENS)), "the text is not what its tokens spell"),
        (reply(), evidence(range(TOKENS)), None),
        (reply((5, END), finish="stop"), evidence((5, END)), None),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_the_shape_of_an_answer(given, seen, why) -> None:
    found = ending_fault(
        *(given.token_ids, given.finish_reason, given.text, seen), max_tokens=request().max_tokens, tie=0.3
    )
    assert found == why


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
    assert second.evidence["tokens"] == 2 * TOKENS >= LEAST


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


# doubt and proof


async def test_honest_answers_are_paid_for_ever() -> None:
    """A swapped neighbour now and then, as rounding makes them."""
    rounds = iter(range(1000))
    verdicts = await verdicts_of(lambda ids: evidence(ids, wrong=next(rounds) % 2, margin=0.005), rounds=60)
    assert [verdict.value for verdict in verdicts[2:]] == [pytest.approx(0.8)] * 58
    assert not any(verdict.caught for verdict in verdicts)


@pytest.mark.parametrize(
    ("wrong", "margin", "answers"),
    [(40, 4.0, 1), (20, 0.5, 1), (4, 15.0, 2), (8, 0.35, 2)],
    ids=["another's answer", "another model", "repaired only where the margin is wide", "coarser weights"],
)
async def test_other_computations_are_caught(wrong, margin, answers) -> None:
    verdicts = await verdicts_of(lambda ids: evidence(ids, wrong, margin), rounds=answers)
    assert verdicts[-1].caught, verdicts[-1].reason
    assert not any(verdict.value for verdict in verdicts)


async def test_a_smaller_temperature_shows_in_which_tokens_are_given() -> None:
    """As many small margins, on both sides as rounding makes them, or always for the likelier token."""
    both = iter(range(1000))
    even = await verdicts_of(
        lambda ids: evidence(ids, 3, 0.08, lean=2.0 if next(both) % 2 else -2.0), rounds=3
    )
    cooler = await verdicts_of(lambda ids: evidence(ids, 6, 0.2, lean=2.0), rounds=5)
    assert not any(verdict.caught for verdict in even)
    (proof, *_) = [verdict for verdict in cooler if verdict.caught]
    assert "of the temperature" in proof.reason


async def test_wide_margins_count_where_hardly_another_token_was_possible() -> None:
    """Who works only where the choice was free, and fills in the rest, leaves wide margins there."""
    verdicts = await verdicts_of(
        lambda ids: TokenEvidence(
            *(tuple(token + (place % 4 == 0) for place, token in enumerate(ids)),),
            *(tuple(9.0 * (place % 4 == 0) for place in range(len(ids))), (0.0,) * len(ids)),
            *((0.1,) * len(ids), (-9.0,) * len(ids), (END,), "because"),
        ),
        rounds=3,
    )
    assert verdicts[-1].caught


async def test_proof_is_acted_upon_once_and_the_next_answers_are_judged_anew() -> None:
    cheats = iter([True, False, False, False])
    verdicts = await verdicts_of(lambda ids: evidence(ids, 40 if next(cheats) else 0, 4.0), rounds=4)
    assert [verdict.caught for verdict in verdicts] == [True, False, False, False]
    assert verdicts[1].value is None, (
        "too little evidence: nothing from before the conviction speaks for the miner"
    )
    assert verdicts[-1].value == pytest.approx(0.8)


async def test_a_short_answer_after_proof_is_not_taken_for_right() -> None:
    """Another's answer of three tokens proves nothing, and what was seen before must not stand in for that."""
    played = subnet(Engine(lambda ids: evidence(ids, wrong=40 if len(ids) > 3 else 2, margin=4.0)))
    proofs = [(await played.score(_round(), [answer()]))[0] for _ in range(2)]
    (short,) = await played.score(_round(), [answer(reply((7, 8, END), finish="stop"))])
    assert all(proof.caught for proof in proofs)
    assert (short.caught, short.value) == (False, None)


async def test_between_doubt_and_proof_nothing_is_paid_and_nothing_proven() -> None:
    """Wide margins, few at a time: the answers that bring a miner close to proof earn nothing."""
    memory, played = DictMemory(), None
    played = subnet(Engine(), memory)
    tests = {name: SequentialTest(score=12.5, seen=500) for name in shipped().nearest}
    memory.put("miner", "tests", MinerTests(tests, 500).stored())
    (verdict,) = await played.score(_round(), [answer(reply(tuple(range(100, 108))))])
    assert (verdict.value, verdict.caught) == (0.0, False)
    assert verdict.suspicion > 0.75


async def test_a_record_is_no_credit_for_later() -> None:
    cheats = iter([False] * 40 + [True] * 2)
    verdicts = await verdicts_of(lambda ids: evidence(ids, 40 if next(cheats) else 0, 4.0), rounds=41)
    assert verdicts[-1].caught


async def test_a_model_that_was_not_counted_is_refused() -> None:
    with pytest.raises(EngineUnfit, match="ranvier models calibrate"):
        await subnet(Engine(dtype="float16")).score(_round(), [answer()])


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


async def test_suspicion_reaches_the_audit_draw() -> None:
    """The verdict carries it, the book keeps it, the next draw uses it."""
    verdicts = await verdicts_of(lambda ids: evidence(ids, 2, 0.5), rounds=2)
    assert 0 < verdicts[-1].suspicion == verdicts[-1].evidence["suspicion"] <= 1
    one = answer()
    book = ScoreBook(TextSettings(), {"miner": Entry(passed=30)})
    book.record([Result("miner", one.outcome, verdicts[-1])])
    assert audit_rate(0.01, book["miner"].record) >= verdicts[-1].suspicion
