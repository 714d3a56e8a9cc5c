"""The pytest plugin: ``-p ranvier.testing.plugin``, or ``pytest_plugins = ["ranvier.testing.plugin"]`` at the root.

It is no entry point of pytest: an installed library must not put a fixture into everybody's tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ranvier.subnets import Subnet
from ranvier.testing.lab import Lab

OpenLab = Callable[..., Lab]
"""Takes what `Lab` takes and returns it open; it is closed when the test ends."""


@pytest.fixture
def open_lab() -> Iterator[OpenLab]:
    """``open_lab(MySubnet, seed=1).run(50).honest_pay_best()``, in tests with and without a loop of their own."""
    with ExitStack() as stack:

        def opened(subnet: type[Subnet[Any]], **options: Any) -> Lab:
            return stack.enter_context(Lab(subnet, **options))

        yield opened
