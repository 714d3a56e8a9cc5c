"""The life of a network, as docs/story.md tells it: every chapter holds, and so do the books at the end."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from ranvier.chain.embedded import EmbeddedChain

ROOT = Path(__file__).parents[2]


def told() -> list[str]:
    """What the page shows of a run, without block numbers."""
    page = (ROOT / "docs" / "story.md").read_text()
    return [line.strip() for line in re.findall(r"^block +[0-9]+ +(.*)$", page, re.MULTILINE)]


async def test_the_story_is_true() -> None:
    place = ROOT / "examples" / "network_life.py"
    spec = importlib.util.spec_from_file_location("network_life", place)
    assert spec is not None
    assert spec.loader is not None
    story = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["network_life"] = story
    try:
        spec.loader.exec_module(story)
        async with EmbeddedChain(story.genesis()) as chain:
            one = story.Story(chain, say=lambda _line: None)
            for chapter in story.CHAPTERS:
                await chapter(one)
    finally:
        del sys.modules["network_life"]
    assert one.told == told()
