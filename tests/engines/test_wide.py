"""Processors that do not multiply bfloat16: the numbers of those that do, but for a last bit now and then."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from ranvier.engines import wide
from ranvier.engines.image.model import SCENES, load_image
from ranvier.engines.load import Loader, Spec
from ranvier.engines.models import ImageRequest
from ranvier.engines.store import Store
from ranvier.engines.text.network import Network
from ranvier.engines.wide import WideConv2d, WideLinear, widen
from ranvier.subnets.text.ways import quantised

ROOM = 1 << 30
ULP = 2**-8
"""Of bfloat16, relative."""


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """This processor, as if it had no bfloat16."""
    monkeypatch.setattr(wide, "ABLE", lambda: False)


def linear(bias: bool = True) -> torch.nn.Linear:
    torch.manual_seed(3)
    return torch.nn.Linear(96, 160, bias=bias).bfloat16().requires_grad_(requires_grad=False)


def convolution(bias: bool = True) -> torch.nn.Conv2d:
    torch.manual_seed(3)
    made = torch.nn.Conv2d(12, 20, 3, stride=2, padding=1, groups=2, bias=bias)
    return made.bfloat16().requires_grad_(requires_grad=False)


def probe(layer: torch.nn.Module) -> torch.Tensor:
    torch.manual_seed(4)
    shape = (2, 17, 96) if isinstance(layer, torch.nn.Linear) else (3, 12, 16, 16)
    return torch.randn(shape).bfloat16()


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("wider", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("make", "kind"), [(linear, WideLinear), (convolution, WideConv2d)])
def test_sums_are_rounded_once(make, kind, bias: bool, wider: torch.dtype) -> None:
    layer = make(bias)
    exact = copy.deepcopy(layer).double()(probe(layer).double())
    assert widen(torch.nn.Sequential(layer), ROOM, wider) == 1
    assert type(layer) is kind
    with torch.inference_mode():
        found = layer(probe(layer))
    assert found.dtype == torch.bfloat16
    alike = (found == exact.bfloat16()).double().mean()
    assert alike > 0.99 if wider == torch.float32 else alike == 1
    assert ((found.double() - exact).abs() <= ULP * exact.abs() + 1e-5).all()


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("make", [linear, convolution])
def test_changed_weights_count(make) -> None:
    layer = make()
    widen(torch.nn.Sequential(layer), ROOM)
    before = layer(probe(layer))
    copied = copy.deepcopy(layer)
    assert torch.equal(copied(probe(layer)), before)
    for part in (copied.weight, copied.bias):
        with torch.no_grad():
            part.mul_(2)
        after = copied(probe(layer))
    assert torch.equal(after, 2 * before), "in place, one after the other"
    for part, other in ((copied.weight, torch.zeros_like), (copied.bias, torch.ones_like)):
        part.data = other(part)
        after = copied(probe(layer))
    assert torch.equal(after, torch.ones_like(before)), "by other tensors"
    assert torch.equal(layer(probe(layer)), before), "a copy shares nothing"


@pytest.mark.usefixtures("narrow")
def test_weights_are_widened_once_when_the_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = linear()
    widen(torch.nn.Sequential(layer), ROOM)
    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "detach", lambda _tensor: pytest.fail("widened again"))
        with torch.inference_mode():
            layer(probe(layer))


@pytest.mark.usefixtures("narrow")
def test_only_plain_bfloat16_layers_and_only_where_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    class Scaled(torch.nn.Linear):
        """Not a plain layer."""

    others = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4).half(), Scaled(4, 4).bfloat16())
    assert widen(others, ROOM) == 0
    model = torch.nn.Sequential(torch.nn.Linear(64, 64, bias=False).bfloat16())
    double = torch.float64
    assert [widen(model, 64 * 64 * 8 - 1, double), widen(model, 64 * 64 * 4 - 1)] == [0, 0]
    assert caplog.text.count("many times slower") == 2
    assert widen(model, 64 * 64 * 4) == 1
    assert caplog.text.count("many times slower") == 2, "nothing to say where it is done"


def test_a_processor_with_bfloat16_keeps_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "ABLE", lambda: True)
    model = torch.nn.Sequential(linear())
    assert widen(model, ROOM) == 0
    assert type(model[0]) is torch.nn.Linear


@pytest.mark.usefixtures("narrow")
def test_a_text_model_says_what_transformers_says(tiny_folder: Path, tiny_said: Any) -> None:
    network = Network.load(str(tiny_folder), dtype="bfloat16", device="cpu")
    assert network._model.dtype == torch.bfloat16
    assert any(type(layer) is WideLinear for layer in network._model.modules())
    assert not any(type(layer) is torch.nn.Linear for layer in network._model.modules())
    ids, expected = tiny_said
    ((found,),) = network.prefill([ids], [[0]])
    assert abs(found[0] - expected).max() < 0.1 * abs(expected).max()
    ((coarse,),) = quantised(network, 4).prefill([ids], [[0]])
    ((after,),) = network.prefill([ids], [[0]])
    assert (after == found).all()
    assert abs(coarse - found).max() > 0.01 * abs(found).max()


@pytest.mark.usefixtures("narrow")
def test_where_memory_is_short_a_text_model_is_slow_rather_than_not_there(tiny_folder: Path) -> None:
    network = Loader(memory=1 << 20).network(str(tiny_folder))
    assert network.dtype == "bfloat16"
    assert not any(type(layer) is WideLinear for layer in network._model.modules())


@pytest.mark.usefixtures("narrow")
def test_a_picture_does_not_depend_on_its_batch() -> None:
    model = load_image(SCENES, dtype="bfloat16")
    asked = [
        ImageRequest(prompt, bytes([number] * 8), 4, 3.0, 32, 32)
        for number, prompt in enumerate(["a red ball", "two cats", "a green house", "a blue ball"])
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for one, picture in zip(asked, model.draw(asked), strict=True):
            assert (model.draw([one])[0] == picture).all()
    finally:
        torch.set_num_threads(threads)
    unet = model.pipeline.unet
    assert unet.dtype == torch.bfloat16
    assert {type(one) for one in unet.modules()} & {WideLinear, WideConv2d} == {WideLinear, WideConv2d}


@pytest.mark.models
@pytest.mark.usefixtures("narrow")
def test_classifiers_and_embedders() -> None:
    if not Store().has("minilm"):
        pytest.skip("minilm is not prepared; run `ranvier models prepare`")
    embedder, sentiment = Loader(dtype="bfloat16").load(
        [Spec("embed", "minilm"), Spec("classify", "sentiment")]
    )
    assert any(type(one) is WideLinear for one in embedder._model.modules())
    assert any(type(one) is WideLinear for one in sentiment._network.modules())
