import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ranvier.subnets.sentiment.synapse import LABELS, Opinion, Passage, Sentiment


@given(st.tuples(*[st.floats(1e-6, 1e6)] * 3))
def test_any_weights_become_a_coherent_opinion(weights):
    opinion = Opinion.of(weights)
    assert sum(opinion.probabilities) == pytest.approx(1)
    assert opinion.probabilities[LABELS.index(opinion.label)] == max(opinion.probabilities)


@pytest.mark.parametrize(
    ("label", "probabilities"),
    [
        ("positive", (0.5, 0.5, 0.5)),
        ("positive", (0.1, 0.1, 0.1)),
        ("positive", (0.8, 0.1, 0.1)),
        ("positive", (-0.2, 0.2, 1.0)),
        ("positive", (0.0, float("nan"), 1.0)),
        ("joyful", (0.0, 0.0, 1.0)),
        ("positive", (0.0, 1.0)),
    ],
)
def test_what_is_no_distribution_or_contradicts_its_label_is_refused(label, probabilities):
    with pytest.raises(ValidationError):
        Opinion(label=label, probabilities=probabilities)


def test_a_reply_of_four_decimals_passes():
    assert Opinion(label="negative", probabilities=(0.3334, 0.3333, 0.3333)).label == "negative"


def test_requests_are_bounded():
    passage = Passage(text="x", target="y")
    with pytest.raises(ValidationError):
        Sentiment(passages=())
    with pytest.raises(ValidationError):
        Sentiment(passages=(passage,) * 33)
    with pytest.raises(ValidationError):
        Passage(text="x" * 4001)
