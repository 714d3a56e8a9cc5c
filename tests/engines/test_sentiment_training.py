import json

import pytest

from ranvier.engines.sentiment.catalog import Variant
from ranvier.engines.sentiment.sentences import prepared_path

pytestmark = [pytest.mark.models, pytest.mark.slow]


def test_a_trained_file_is_served_as_trained(tmp_path):
    """From rows to a file to probabilities: what training reports is what the served model does."""
    body = prepared_path().parents[1] / "minilm"
    if not (body / "model.safetensors").is_file():
        pytest.skip("run `ranvier models prepare` first")
    from ranvier.engines.sentiment.model import SentimentClassifier
    from ranvier.engines.training.train_sentiment import main

    rows = [
        {"text": f"a {word} film, number {k}", "label": label, "made": bool(k % 2)}
        for k in range(32)
        for word, label in (("moving", 2), ("dull", 0), ("blue", 1))
    ]
    path, out = tmp_path / "rows.jsonl", tmp_path / "tiny.safetensors"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    main(["--rows", str(path), "--held", str(path), "--body", str(body), "--out", str(out), "--layers", "2",
          "--epochs", "8", "--rate", "3e-3"])  # fmt: skip
    told = json.loads(out.with_suffix(".json").read_text())
    assert told["constructed_accuracy"] > 0.9
    served = SentimentClassifier(Variant("tiny", out), body).classify([row["text"] for row in rows])
    right = sum(max(range(3), key=p.__getitem__) == row["label"] for p, row in zip(served, rows, strict=True))
    assert right / len(rows) > 0.9
