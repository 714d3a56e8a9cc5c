"""The page on back ends lists every difference that the suite knows, and the plans that are tried."""

from __future__ import annotations

import re
from pathlib import Path

from conftest_names import DIFFERENCES, DIFFERENT_NAMES

from ranvier.chain.calls import CALL_TYPES
from ranvier.chain.remedies import REMEDIES
from ranvier.chain.subtensor.plans import sample_plans

PAGE = (Path(__file__).parents[3] / "docs" / "chain-back-ends.md").read_text()


def test_every_difference_is_listed_by_name() -> None:
    listed = re.findall(
        r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", PAGE.partition("## Where they differ")[2], re.MULTILINE
    )
    assert tuple(name for name in listed if name not in ("name", "---")) == DIFFERENCES
    for ours, theirs in DIFFERENT_NAMES.items():
        assert ours in PAGE
        assert theirs in PAGE


def test_every_plan_is_listed() -> None:
    for kind in CALL_TYPES:
        assert f"`{kind.__name__}`" in PAGE
        for plan in sample_plans(kind):
            assert f"`{plan.function}`" in PAGE, plan


def test_remedies_are_one_line_without_a_full_stop() -> None:
    for name, text in REMEDIES.items():
        assert text, name
        assert not text.endswith("."), name
        assert "\n" not in text
