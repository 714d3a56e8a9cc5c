"""The same promises on every device that this machine has: a CPU everywhere, each GPU where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ranvier.engines.models import Message, Sampling, ScoreRequest, TextRequest

pytestmark = pytest.mark.models


def devices() -> list[str]:
    try:
        import torch
    except ModuleNotFoundError:
        return ["cpu"]
    return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]


@pytest.fixture(
    params=[(device, dtype) for device in devices() for dtype in ("float32", "bfloat16", "float16")]
)
def model(request: Any, tiny_folder: Path) -> Any:
    from ranvier.engines.load import Loader, Spec

    device, dtype = request.param
    (made,) = Loader(device=device, dtype=dtype).load([Spec("text", str(tiny_folder))])
    assert (made.info.device, made.info.dtype) == (device, dtype)
    return made


def asked() -> list[TextRequest]:
    return [
        TextRequest(
            (Message("user", " ".join(f"w{(n * 7 + place) % 50}" for place in range(3 + 17 * n))),),
            Sampling(max_tokens=8 + 5 * n, seed=bytes([n]) * 32, temperature=1.0 if n % 2 else 0.0),
        )
        for n in range(5)
    ]


def test_mixed_answers_are_proven_by_one_prefill(model: Any) -> None:
    """Together they are what they are alone, but for what the last bits of a dtype decide."""
    together = model.generate(asked())
    evidence = model.score(
        [ScoreRequest(one.messages, one.sampling, made.token_ids) for one, made in zip(asked(), together, strict=True)]
    )  # fmt: skip
    margins = [margin for one in evidence for margin in one.margin]
    exact = model.info.dtype == "float32"
    assert max(margins) <= (0 if exact else 0.5)
    if exact:
        assert [one.token_ids for one in together] == [model.generate([one])[0].token_ids for one in asked()]


def test_memory_of_the_device_bounds_what_is_taken(model: Any) -> None:
    network = model._network
    assert 0 < network.room(0.5) * network.token_bytes < 1 << 42


async def test_each_device_gets_a_worker_with_all_models() -> None:
    """Data parallel: one process for each, and the front shares requests out among them."""
    from ranvier.neurons.config import EngineSettings
    from ranvier.neurons.engine import plans

    made = await plans(EngineSettings(models=("text=smollm2",), device="cuda:0, cuda:1", dtype="float16"))
    assert [(one.device, one.dtype, one.models) for one in made] == [
        ("cuda:0", "float16", ("text=smollm2",)), ("cuda:1", "float16", ("text=smollm2",)),
    ]  # fmt: skip
