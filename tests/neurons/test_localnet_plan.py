"""What a localnet is founded with, and what it goes on with."""

from __future__ import annotations

from pathlib import Path

from ranvier.engines.image.calibration import load_calibration
from ranvier.engines.load import Spec
from ranvier.neurons.localnet.founding import ENGINES, open_plan
from ranvier.neurons.localnet.options import Options
from ranvier.neurons.localnet.plan import Folder


def test_its_image_engine_holds_every_dtype_that_miners_may_declare() -> None:
    specs = [Spec.parse(text) for text in ENGINES["image"]]
    assert {spec.name for spec in specs} == {load_calibration().model}
    assert {spec.dtype or "float32" for spec in specs} == set(load_calibration().dtypes)


def test_a_network_that_goes_on_is_served_as_this_version_serves(tmp_path: Path) -> None:
    options = Options(("image",), tmp_path, block_time=1.0, tempo=45, round_blocks=15)
    founded = open_plan(options)
    file = Folder(tmp_path).plan
    (old,) = founded.subnets
    before = founded.model_copy(update={"subnets": (old.model_copy(update={"models": ("image=scenes",)}),)})
    file.write_text(before.model_dump_json())
    (now,) = open_plan(options).subnets
    assert now.models == ENGINES["image"]
    assert now == old
