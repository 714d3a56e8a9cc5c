import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.subnets.sentiment.construct import make
from ranvier.subnets.sentiment.corpus import in_pool, load_corpus, usable
from ranvier.subnets.sentiment.decompile import decompiled
from ranvier.subnets.sentiment.edits import reworded
from ranvier.subnets.sentiment.errors import CorpusMissing, CorpusUnreadable, FramesTooFew, FramesUnreadable
from ranvier.subnets.sentiment.frames import load_frames
from ranvier.subnets.sentiment.lookup import SentenceIndex
from ranvier.subnets.sentiment.titles import draw_titles


def many(path, count, seed=0):
    corpus, rng = load_corpus(path), random.Random(seed)
    return corpus, [make(rng, corpus, load_frames()) for _ in range(count)]


def test_the_same_seed_gives_the_same_text_and_another_another(corpus_file):
    _, first = many(corpus_file, 30, seed=4)
    assert first == many(corpus_file, 30, seed=4)[1]
    assert {made.text for made in first}.isdisjoint(made.text for made in many(corpus_file, 30, seed=5)[1])


def test_what_the_sources_are_says_nothing_of_the_label(corpus_file):
    corpus, made = many(corpus_file, 6000)
    positive = set(corpus.positive)
    by_sources = Counter((tuple(s in positive for s in one.sources), one.label) for one in made)
    for sources in {key for key, _ in by_sources}:
        counts = [by_sources[sources, label] for label in range(3)]
        shares = [count / sum(counts) for count in counts]
        assert shares == pytest.approx([0.4, 0.2, 0.4], abs=0.05), (sources, counts)


def test_a_fifth_is_neutral_and_the_rest_is_balanced(corpus_file):
    _, made = many(corpus_file, 5000)
    shares = [sum(one.label == k for one in made) / 5000 for k in range(3)]
    assert shares == pytest.approx([0.4, 0.2, 0.4], abs=0.03)


def test_the_target_is_named_and_no_pattern_is_left_over(corpus_file):
    for one in many(corpus_file, 500)[1]:
        assert one.target in one.text
        assert not set("{}[]|") & set(one.text)


def test_every_frame_can_be_undone_to_the_label_it_was_given(corpus_file):
    """An independent reading of the text agrees with the label by construction."""
    _, made = many(corpus_file, 400)
    index = SentenceIndex(corpus_file)
    read = [(decompiled(one.text, one.target, index), one.label - 1) for one in made]
    known = [(found, label) for found, label in read if found is not None]
    assert len(known) > 350
    assert sum(found == label for found, label in known) / len(known) > 0.97


@pytest.mark.parametrize("frame", load_frames(), ids=lambda frame: frame.text[:40])
def test_each_public_frame_holds_what_it_promises(frame):
    assert "{s}" in frame.text
    assert all(f"{{{film}}}" in frame.text for film in frame.about)
    assert frame.quotes_two == ("{t}" in frame.text)
    assert frame.quotes_two or not any("t" in stance for stance in frame.about.values())
    assert frame.quotes_two or not frame.same


@given(st.integers())
def test_titles_can_be_told_apart(seed):
    first, second = draw_titles(random.Random(seed))
    assert first not in second
    assert second not in first


@given(
    st.integers(),
    st.sampled_from(["it's a fine film, isn't it.", 'the "best" story of the kids', "no change here at all"]),
)
def test_rewording_leaves_no_double_quotes_and_starts_large(seed, sentence):
    text = reworded(random.Random(seed), sentence)
    assert '"' not in text
    assert text[0] == text[0].upper()
    assert text[-1] in ".!?'"


def test_sentences_that_turn_are_not_used():
    assert usable("a moving and honest portrait of a family.")
    assert not usable("a moving portrait, but far too long.")
    assert not usable("too short.")
    assert not usable("what were they thinking when they made this?")


def test_training_and_pool_share_no_sentence(corpus_file):
    pool, training = load_corpus(corpus_file, "pool"), load_corpus(corpus_file, "training")
    assert set(pool.negative).isdisjoint(training.negative)
    assert all(in_pool(sentence) for sentence in pool.positive)


def test_a_missing_or_damaged_corpus_says_what_to_do(tmp_path):
    with pytest.raises(CorpusMissing, match="models prepare"):
        load_corpus(tmp_path / "none.jsonl")
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text('{"text": "no label"}\n')
    with pytest.raises(CorpusUnreadable):
        load_corpus(damaged)
    few = tmp_path / "few.jsonl"
    few.write_text('{"text": "one sentence of five words here", "label": 1}\n')
    with pytest.raises(CorpusUnreadable, match="fewer than 50"):
        load_corpus(few, "all")


@pytest.mark.parametrize("text", ["", "[[frame]]\ntext = 'x'\nabout = {A = 'u'}", "not toml at all ["])
def test_a_bad_frames_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "frames.toml"
    path.write_text(text)
    with pytest.raises(FramesUnreadable, match=r"frames\.toml"):
        load_frames(path)


def test_frames_that_would_tie_labels_to_sources_are_refused(corpus_file):
    keeping = [frame for frame in load_frames() if set(frame.about.values()) <= {"s", "t"}]
    with pytest.raises(FramesTooFew, match="add one"):
        for seed in range(50):
            make(random.Random(seed), load_corpus(corpus_file), keeping)
