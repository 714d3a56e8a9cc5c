"""Makes the shared helpers and the subnet of sums importable, and gives out chain processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "plugins"))

from neurons_world import World, make_world


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Starts chain processes and ends them."""
    started: list[World] = []

    def make(**changes: Any) -> World:
        started.append(make_world(tmp_path, **changes))
        return started[-1]

    yield make
    for world in started:
        world.stop()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()
