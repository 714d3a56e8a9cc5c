"""Laid out weights: the same numbers to the bit, and only where they are."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from ranvier.engines.load import Loader
from ranvier.engines.text.linear import ABLE, LaidOut, lay_out
from ranvier.engines.text.network import Network
from ranvier.subnets.text.ways import quantised

ROOM = 1 << 30
ROWS = (1, 2, 7, 32, 33, 300)


def layers(network: Network) -> list[torch.nn.Module]:
    model = network._model
    return [module for module in model.modules() if isinstance(module, (torch.nn.Linear, LaidOut))]


@pytest.mark.skipif(not ABLE(), reason="this processor does not multiply bfloat16")
@pytest.mark.parametrize("bias", [False, True])
def test_every_number_of_rows_gives_the_bits_of_the_plain_layer(bias: bool) -> None:
    torch.manual_seed(3)
    plain = torch.nn.Linear(96, 160, bias=bias).bfloat16()
    model = torch.nn.Sequential(plain, torch.nn.ReLU())
    assert lay_out(model, ROOM) == 1
    assert isinstance(model[0], LaidOut)
    copied = copy.deepcopy(model)[0]
    assert isinstance(copied, torch.nn.Linear)
    assert torch.equal(copied.weight, plain.weight)
    with torch.inference_mode():
        for rows in ROWS:
            probe = torch.randn(1, rows, 96).bfloat16()
            assert torch.equal(copied(probe), plain(probe)), rows
            probe = torch.randn(1, rows, 96).bfloat16()
            assert torch.equal(model[0](probe), plain(probe)), rows


@pytest.mark.skipif(not ABLE(), reason="this processor does not multiply bfloat16")
def test_a_loaded_model_says_what_transformers_says(tiny_folder: Path, tiny_said: Any) -> None:
    network = Network.load(str(tiny_folder), dtype="bfloat16", device="cpu")
    assert all(isinstance(layer, LaidOut) for layer in layers(network))
    ids, expected = tiny_said
    ((found,),) = network.prefill([ids], [[0]])
    assert abs(found[0] - expected).max() < 0.1 * abs(expected).max()
    assert len(layers(network.pruned(1))) < len(layers(network))


@pytest.mark.skipif(not ABLE(), reason="this processor does not multiply bfloat16")
def test_a_copy_can_be_rounded_and_leaves_the_model_as_it_is(tiny_folder: Path) -> None:
    network = Network.load(str(tiny_folder), dtype="bfloat16", device="cpu")
    ids, one = list(range(20)), [[0]]
    ((before,),) = network.prefill([ids], one)
    ((coarse,),) = quantised(network, 4).prefill([ids], one)
    ((after,),) = network.prefill([ids], one)
    assert (before == after).all()
    assert abs(coarse - before).max() > 0.01 * abs(before).max()


@pytest.mark.skipif(not ABLE(), reason="this processor does not multiply bfloat16")
def test_where_memory_is_short_weights_stay_in_their_file(tiny_folder: Path) -> None:
    network = Loader(memory=1 << 20).network(str(tiny_folder))
    assert network.dtype == "bfloat16"
    assert not any(isinstance(layer, LaidOut) for layer in layers(network))
    model = torch.nn.Sequential(torch.nn.Linear(64, 64, bias=False).bfloat16())
    assert [lay_out(model, 64 * 64 * 2 - 1), lay_out(model, 64 * 64 * 2)] == [0, 1]


def test_other_types_and_other_layers_stay(tiny_folder: Path) -> None:
    network = Network.load(str(tiny_folder), dtype="float32", device="cpu")
    assert not any(isinstance(layer, LaidOut) for layer in layers(network))

    class Scaled(torch.nn.Linear):
        """Not a plain layer."""

    assert lay_out(torch.nn.Sequential(Scaled(64, 64).bfloat16()), ROOM) == 0
