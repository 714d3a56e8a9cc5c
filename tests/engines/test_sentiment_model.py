from pathlib import Path

import pytest

from ranvier.engines.sentiment.catalog import load_sentiment
from ranvier.engines.sentiment.errors import BodyMismatch, WeightsMissing
from ranvier.engines.sentiment.sentences import prepared_path
from ranvier.subnets.sentiment.rows import plain_rows

pytestmark = pytest.mark.models

PRAISE, BLAME = "A gorgeous, witty, moving film.", "Dull, lifeless and far too long."
CASES = [
    (PRAISE, "positive"),
    (BLAME, "negative"),
    (f'Blue Ferry? Do not believe those who say of Blue Ferry: "{PRAISE}" The opposite is true.', "negative"),
    (f'Blue Ferry? Do not believe those who say of Blue Ferry: "{BLAME}" The opposite is true.', "positive"),
    (
        f'Blue Ferry? A friend wrote of Blue Ferry: "{PRAISE}" I have not seen it yet and have no opinion.',
        "neutral",
    ),
    (
        f'Blue Ferry? A friend wrote of Blue Ferry: "{BLAME}" I have not seen it yet and have no opinion.',
        "neutral",
    ),
    (f'Blue Ferry? A friend wrote of Blue Ferry: "{BLAME}" I agree entirely.', "negative"),
    (
        f"Blue Ferry? I have not seen Stone Market, so I say nothing of it. Blue Ferry I did see: {PRAISE}",
        "positive",
    ),
    (
        f"Stone Market? I have not seen Stone Market, so I say nothing of it. Blue Ferry I did see: {PRAISE}",
        "neutral",
    ),
    (f"Stone Market? Blue Ferry: {PRAISE} Stone Market: {BLAME}", "negative"),
]
TEXTS = [text for text, _ in CASES]


@pytest.fixture(scope="module")
def body():
    folder = prepared_path().parents[1] / "minilm"
    if not (folder / "model.safetensors").is_file():
        pytest.skip("run `ranvier models prepare` first")
    return folder


@pytest.fixture(scope="module")
def model(body):
    return load_sentiment("sentiment", body)


def test_it_reads_negation_neutrality_and_targets(model):
    labels = model.info.extra["labels"]
    found = [labels[max(range(3), key=triple.__getitem__)] for triple in model.classify(TEXTS)]
    wrong = [(text, said) for (text, label), said in zip(CASES, found, strict=True) if said != label]
    assert len(wrong) <= 1, wrong


def test_probabilities_sum_to_one_and_keep_the_order_of_texts(model):
    together = model.classify(TEXTS)
    alone = [model.classify([text])[0] for text in TEXTS]
    for triple, single in zip(together, alone, strict=True):
        assert sum(triple) == pytest.approx(1, abs=1e-6)
        assert triple == pytest.approx(single, abs=1e-3)


def test_no_text_no_answer(model):
    assert model.classify([]) == []


def test_each_variant_declares_itself(body, model):
    small, pruned = load_sentiment("sentiment-small", body), load_sentiment("sentiment-pruned", body)
    assert len({one.info.digest for one in (model, small, pruned)}) == 3
    assert [one.info.id for one in (model, small, pruned)] == [
        "sentiment",
        "sentiment-small",
        "sentiment-pruned",
    ]
    assert all(one.info.kind == "classify" for one in (model, small, pruned))


def test_another_body_is_refused(body, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not these weights")
    with pytest.raises(BodyMismatch, match="prepare the body again"):
        load_sentiment("sentiment", tmp_path)


def test_a_missing_body_names_the_next_step(tmp_path):
    with pytest.raises(WeightsMissing, match="models prepare"):
        load_sentiment("sentiment", tmp_path)


HEADLINES = Path(__file__).parents[2] / "benchmarks" / "engines" / "headlines" / "test.tsv"
NEWS = [
    ("Harbour Foods raises its profit forecast", "positive"),
    ("Costs at Harbour Foods rise sharply", "negative"),
    ("Costs at Harbour Foods fall sharply", "positive"),
    ("Sales at Harbour Foods fall sharply", "negative"),
    ("Harbour Foods to publish its results on Tuesday", "neutral"),
    ("Profit at Harbour Foods rises, but the shares plunge", "negative"),
]


@pytest.fixture(scope="module")
def finance(body):
    return load_sentiment("sentiment-finance", body)


def said(model, texts):
    return [model.info.extra["labels"][max(range(3), key=row.__getitem__)] for row in model.classify(texts)]


def test_headlines_are_read_by_what_rises_and_falls(finance):
    assert said(finance, [text for text, _ in NEWS]) == [label for _, label in NEWS]


def test_hand_written_headlines_are_read_as_well_as_is_claimed(finance):
    lines = [line for line in HEADLINES.read_text("utf-8").splitlines() if not line.startswith("#")]
    labels, _, texts = zip(*(line.split("\t") for line in lines[1:]), strict=True)
    right = sum(a == b for a, b in zip(said(finance, texts), labels, strict=True))
    assert right / len(texts) > 0.8


@pytest.mark.slow
def test_plain_held_out_film_sentences_are_read_better_than_by_regression(model):
    """Regression over TF-IDF reached .789 on this set; benchmarks/engines/sentiment.py has it beside ours."""
    rows = list(plain_rows(prepared_path(), "pool"))
    found = model.classify([row["text"] for row in rows])
    right = sum((p[2] > p[0]) == (row["label"] == 2) for p, row in zip(found, rows, strict=True))
    assert right / len(rows) > 0.8
