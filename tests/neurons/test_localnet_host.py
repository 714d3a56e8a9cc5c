"""What a localnet's validators are told about their subnet."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ranvier.neurons.localnet import host
from ranvier.neurons.localnet.plan import Folder
from ranvier.subnets.text import TextSettings


@pytest.mark.parametrize(
    ("able", "engine", "times"), [(True, "unix:e", 1), (False, "unix:e", 3), (False, "", 1)]
)
def test_models_on_a_slow_processor_have_more_time(
    able: bool, engine: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "multiplies_bfloat16", lambda: able)
    plan: Any = SimpleNamespace(endpoint="http://127.0.0.1:1")
    planned: Any = SimpleNamespace(name="text", engine=engine)
    found = TextSettings(**host.Host(Folder(tmp_path), plan, planned)._settings())
    assert found.audit_rate == 1
    assert found.deadline == times * TextSettings().deadline
