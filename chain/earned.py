"""Epochs added up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ranvier.chain.models import Earned, Epoch


def add_up(epochs: Iterable[Epoch]) -> dict[str, Earned]:
    """Rao by hotkey, server and validator part apart."""
    earned: dict[str, Earned] = defaultdict(lambda: Earned(0, 0))
    for epoch in epochs:
        for row in epoch.rows:
            so_far = earned[row.hotkey]
            earned[row.hotkey] = Earned(
                so_far.server + row.server_emission, so_far.validator + row.validator_emission
            )
    return dict(earned)
