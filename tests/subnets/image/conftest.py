"""The shipped model in both dtypes that miners may declare, behind one engine, as a validator has it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "plugins"))


@pytest.fixture(scope="session")
def models():
    """By dtype."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    from ranvier.engines.load import Loader, Spec

    torch.set_num_threads(1)
    specs = [Spec.parse("image=scenes"), Spec.parse("image=scenes@bfloat16")]
    return {model.info.dtype: model for model in Loader().load(specs)}


@pytest.fixture
def model(models):
    return models["float32"]


@pytest.fixture
async def engine(models, tmp_path):
    from ranvier.engines import EngineClient
    from ranvier.engines.local import LocalHost
    from ranvier.engines.server import EngineServer

    server = EngineServer(LocalHost(list(models.values())))
    endpoint = await server.start(f"unix:{tmp_path}/e.sock")
    async with EngineClient(endpoint) as client:
        yield client
    await server.stop()
