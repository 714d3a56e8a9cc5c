"""The compiled attention of the newest tokens: against float64, with neighbours, windows, and many threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from ranvier.engines.models import Message, Sampling, TextRequest
from ranvier.engines.text import kernel
from ranvier.engines.text.attention import packed
from ranvier.engines.text.kernel import Newest, attend_newest
from ranvier.engines.text.model import CausalText
from ranvier.engines.text.network import Network
from ranvier.engines.text.packing import Packing, Part

pytestmark = pytest.mark.models
SIZE, HEADS = 16, 2


def drawn(dtype: torch.dtype, slots: int, positions: int, grouped: int) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(slots)
    shapes = (
        (slots, HEADS * grouped, SIZE),
        (slots, HEADS, positions, SIZE),
        (slots, HEADS, positions, SIZE),
    )
    return [(2 * torch.randn(shape, generator=source)).to(dtype) for shape in shapes]


def exact(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int | None) -> torch.Tensor:
    """One row, (heads, size), over keys and values (heads, positions, size)."""
    grouped = len(query) // len(key)
    key, value = (one.double().repeat_interleave(grouped, 0)[:, -(window or 10**9) :] for one in (key, value))
    scores = torch.einsum("hd,hpd->hp", query.double(), key) * 0.25
    return torch.einsum("hp,hpd->hd", scores.softmax(1), value)


def run(drawing: list[torch.Tensor], newest: Newest, window: int | None) -> torch.Tensor:
    out = torch.full_like(drawing[0], 7)
    attend_newest(*drawing, newest, window, 0.25, out)
    return out


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 3e-5), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("grouped", [1, 3])
@settings(max_examples=20, deadline=None)
@given(
    lengths=some.lists(some.integers(1, 40), min_size=1, max_size=6),
    window=some.none() | some.integers(1, 45),
)
def test_each_row_is_what_float64_says_and_what_it_is_alone(
    dtype: torch.dtype, most: float, grouped: int, lengths: list[int], window: int | None
) -> None:
    drawing = drawn(dtype, len(lengths) + 1, 48, grouped)
    slots = np.arange(1, len(lengths) + 1)[::-1].copy()
    places = np.arange(len(lengths))
    found = run(drawing, Newest(places, slots, np.array(lengths)), window)
    assert bool((found[len(lengths) :] == 7).all()), "nobody asked at these places"
    query, keys, values = drawing
    for place, (slot, length) in enumerate(zip(slots.tolist(), lengths, strict=True)):
        true = exact(query[place], keys[slot, :, :length], values[slot, :, :length], window)
        assert (found[place].double() - true).abs().max() <= most
        one = Newest(*(np.array([number]) for number in (place, slot, length)))
        narrow = [query, keys[:, :, :length].contiguous(), values[:, :, :length].contiguous()]
        assert torch.equal(run(narrow, one, window)[place], found[place])


def test_threads_share_the_rows_and_move_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = drawn(torch.bfloat16, 9, 48, 3)
    newest = Newest(np.arange(9), np.arange(9), np.arange(9) + 30)
    expected = run(drawing, newest, None)
    monkeypatch.setattr(kernel, "SHARE", 8)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(run(drawing, newest, None), expected)
    finally:
        torch.set_num_threads(before)


def test_scores_far_apart_overflow_nothing() -> None:
    query, keys, values = drawn(torch.float32, 1, 8, 1)
    keys[0, :, 3] = query[0] * 100
    found = run([query * 100, keys, values], Newest(*(np.array([n]) for n in (0, 0, 8))), None)
    assert torch.allclose(found[0], values[0, :, 3], atol=1e-5)


def test_values_of_another_size_than_queries_are_left_to_torch() -> None:
    """As in models with latent attention: the kernel would read beyond them."""
    query, keys, values = drawn(torch.float32, 2, 8, 1)
    assert kernel.suits(query[None], values)
    assert not kernel.suits(query[None], values[..., :5])
    packing = Packing((Part(0, 7, [1]), Part(1, 4, [1])), "cpu")
    asked = query.transpose(0, 1)[None]
    found, _ = packed(None, asked, keys, values[..., :5], None, packing=packing, scaling=0.25)
    for row, length in enumerate((8, 5)):
        true = exact(query[row], keys[row, :, :length], values[row, :, :length, :5], None)
        assert torch.allclose(found[0, row].double(), true, atol=3e-5)


def test_without_numba_torch_attends_and_it_is_said(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [
        TextRequest(
            (Message("user", " ".join(f"w{(7 * number + place) % 50}" for place in range(5 + 9 * number))),),
            Sampling(max_tokens=12, seed=bytes([number]) * 32),
        )
        for number in range(4)
    ]
    written = []
    for able in (True, False):
        monkeypatch.setattr(kernel, "ABLE", able)
        network = Network.load(str(tiny_folder), dtype="float32", device="cpu")
        assert ("numba is not installed" in caplog.text) is not able
        written.append([one.token_ids for one in CausalText("tiny", network).generate(asked)])
    assert written[0] == written[1]
