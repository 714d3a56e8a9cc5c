import pytest

from ranvier.protocol import Answered, Target
from ranvier.subnets.sentiment import LABELS, Opinion, Sentiment, SentimentSettings, SentimentSubnet
from ranvier.subnets.sentiment.errors import CorpusMissing
from ranvier.subnets.subnet import Answer, Context, Peer, Round, SubnetSettings


def peer(uid):
    return Peer(
        uid=uid, hotkey=f"miner-{uid}", target=Target(hotkey=f"miner-{uid}", host="127.0.0.1", port=1)
    )


def round_of(number, peers=2, secret=b"s" * 32):
    return Round(
        number=number,
        netuid=1,
        block=number,
        block_hash="0x" + "ab" * 32,
        validator="validator",
        peers=tuple(peer(uid) for uid in range(peers)),
        secret=secret,
    )


class Shelf:
    """Memory in a dict; values pass through JSON types only."""

    def __init__(self):
        self.kept = {}

    def get(self, hotkey, key):
        return self.kept.get((hotkey, key))

    def put(self, hotkey, key, value):
        self.kept[hotkey, key] = value


def subnet_of(memory=None, **settings):
    return SentimentSubnet(
        Context(netuid=1, hotkey="validator", settings=SentimentSettings(**settings), memory=memory)
    )


def answer_of(task, opinions):
    reply = Sentiment.Reply(opinions=tuple(opinions))
    return Answer(task, Answered(reply=reply, elapsed=0.1, target=task.peer.target, size=100))


def right(task, sure=0.9):
    for label in task.reference:
        rest = (1 - sure) / 2
        yield Opinion(
            label=LABELS[label], probabilities=tuple(sure if k == label else rest for k in range(3))
        )


def test_tasks_follow_from_the_secret_and_differ_between_peers(corpus_file):
    subnet = subnet_of(texts=8, tasks_per_miner=2)
    tasks = list(subnet.tasks(round_of(1)))
    assert [task.peer.uid for task in tasks] == [0, 0, 1, 1]
    assert tasks == list(subnet.tasks(round_of(1)))
    texts = [passage.text for task in tasks for passage in task.request.passages]
    assert len(set(texts)) == len(texts) == 32
    other = list(subnet.tasks(round_of(1, secret=b"t" * 32)))
    assert {p.text for task in other for p in task.request.passages}.isdisjoint(texts)


def test_labels_never_reach_the_wire(corpus_file):
    for task in subnet_of().tasks(round_of(1)):
        assert set(task.request.model_dump()) == {"passages"}
        assert all(set(passage) == {"text", "target"} for passage in task.request.model_dump()["passages"])
        assert "reference" not in repr(task)


async def test_right_answers_earn_and_wrong_ones_do_not(corpus_file):
    subnet = subnet_of(least=0)
    first, second = subnet.tasks(round_of(1))
    wrong = list(right(second))
    verdicts = await subnet.score(
        round_of(1), [answer_of(first, right(first)), answer_of(second, reversed(wrong))]
    )
    assert verdicts[0].value > 0.4
    assert verdicts[1].value == 0
    assert not any(verdict.caught for verdict in verdicts)


async def test_too_few_opinions_are_worth_nothing(corpus_file):
    subnet = subnet_of()
    task = next(iter(subnet.tasks(round_of(1))))
    (verdict,) = await subnet.score(round_of(1), [answer_of(task, list(right(task))[:3])])
    assert verdict.value == 0
    assert "3 opinions on 16" in verdict.reason


async def test_skill_is_pooled_over_rounds_and_by_hotkey(corpus_file):
    memory = Shelf()
    values = {}
    for number in range(12):
        subnet = subnet_of(memory)  # a new object each time: what it knows is in the memory
        good, bad = subnet.tasks(round_of(number))
        verdicts = await subnet.score(
            round_of(number), [answer_of(good, right(good)), answer_of(bad, [Opinion.of((4, 2, 4))] * 16)]
        )
        values = {"good": verdicts[0], "bad": verdicts[1]}
    assert values["good"].evidence["texts"] == 192
    assert values["good"].value > 0.85
    assert values["bad"].value == 0


async def test_the_window_forgets(corpus_file):
    memory = Shelf()
    for number in range(6):
        subnet = subnet_of(memory, window=32)
        task = next(iter(subnet.tasks(round_of(number))))
        opinions = right(task) if number >= 4 else [Opinion.of((4, 2, 4))] * 16
        (verdict,) = await subnet.score(round_of(number), [answer_of(task, opinions)])
    assert verdict.evidence["texts"] == 32
    assert verdict.evidence["skill"] > 0.6


async def test_little_evidence_gives_no_score_rather_than_a_lucky_one(corpus_file):
    memory, values = Shelf(), []
    for number in range(5):
        subnet = subnet_of(memory)
        task = next(iter(subnet.tasks(round_of(number))))
        (verdict,) = await subnet.score(round_of(number), [answer_of(task, right(task))])
        values.append(verdict.value)
    assert values[:3] == [None] * 3
    assert all(value > 0.5 for value in values[3:])


def test_plain_settings_are_completed(corpus_file):
    subnet = SentimentSubnet(Context(netuid=1, hotkey="v", settings=SubnetSettings(tasks_per_miner=3)))
    assert subnet.settings.texts == 16
    assert subnet.settings.tasks_per_miner == 3


def test_without_sentences_the_next_step_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path))
    with pytest.raises(CorpusMissing, match="ranvier models prepare"):
        list(subnet_of().tasks(round_of(1)))


def test_an_operators_own_sentences_and_frames_are_used(corpus_file, tmp_path):
    own = tmp_path / "own.jsonl"
    own.write_text(corpus_file.read_text().replace("the plot", "the zeppelin"))
    frames = tmp_path / "own.toml"
    frames.write_text('[[frame]]\ntext = "Ours on {A}: {s}"\nabout = { A = "s" }\n')
    subnet = subnet_of(sentences=own, frames=frames, texts=32)
    texts = [p.text for n in range(6) for task in subnet.tasks(round_of(n)) for p in task.request.passages]
    assert any("zeppelin" in text.lower() for text in texts)
    assert any(text.startswith("Ours on ") for text in texts)
