"""Drafts: objects are drawn once and laid where the caption says, also where no caption of the training said so."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from ranvier.engines.image.caption import encode_words  # noqa: E402
from ranvier.engines.image.draft import SIZE, Drafter, placement  # noqa: E402
from ranvier.engines.image.model import load_image  # noqa: E402
from ranvier.engines.training.scenes import COLOURS, PLACES, SHAPES  # noqa: E402
from ranvier.engines.training.withheld import COLOURED, PLACED  # noqa: E402

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def encoder():
    torch.set_num_threads(1)
    return load_image("scenes").pipeline.caption


@pytest.fixture(scope="module")
def draft(encoder):
    def drafted(*captions):
        with torch.inference_mode():
            found = encoder(encode_words(captions)).drafts
        return ((found.numpy().transpose(0, 2, 3, 1) + 1) * 127.5).clip(0, 255)

    return drafted


def middle(picture, empty):
    """Mean place (across, down) of what differs from the same ground without it."""
    weight = np.abs(picture - empty).sum(-1)
    weight[weight < weight.max() / 3] = 0
    down, across = np.indices(weight.shape) + 0.5
    return (across * weight).sum() / weight.sum(), (down * weight).sum() / weight.sum()


@pytest.mark.parametrize("place", PLACES)
def test_an_object_lies_where_the_caption_says(draft, place):
    (picture,) = draft(f"a large red circle at the {place} on a plain blue ground")
    across, down = middle(picture, np.median(picture, axis=(0, 1)))
    assert across == pytest.approx(PLACES[place][0], abs=2)
    assert down == pytest.approx(PLACES[place][1], abs=2)


def test_a_withheld_place_is_as_good_as_any(encoder):
    """No caption of the training named these places of these things."""
    pairs = sorted(PLACED)
    captions = [f"a large {thing} at the {place} on a plain white ground" for place, thing in pairs]
    with torch.inference_mode():
        where = encoder(encode_words(captions)).where[:, 0, :2].numpy()
    found = (where + 1) * SIZE / 2
    apart = np.abs(found - np.array([PLACES[place] for place, _ in pairs])).max(1)
    assert np.median(apart) < 1
    assert (apart < 3).mean() >= 0.9


def test_a_withheld_colour_of_a_shape_is_that_colour(draft):
    pairs = [
        (colour, shape) for colour, shape in sorted(COLOURED) if shape in SHAPES[:2] and colour != "white"
    ]
    assert pairs
    for (colour, _), picture in zip(
        pairs,
        draft(*(f"a large {colour} {shape} on a plain white ground" for colour, shape in pairs)),
        strict=True,
    ):
        seen = picture[12:20, 12:20].mean((0, 1))
        nearest = min(COLOURS, key=lambda name: np.abs(seen - np.array(COLOURS[name])).sum())
        assert nearest == colour


def test_what_is_laid_covers_what_lies_below():
    torch.manual_seed(0)
    drafter = Drafter(16)
    states, mask = torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool)
    picture, where = drafter(states, mask)
    assert picture.shape == (2, 3, SIZE, SIZE)
    assert where.shape == (2, 2, 3)
    assert torch.isfinite(picture).all()


@pytest.mark.parametrize(("across", "down", "half"), [(16, 16, 8), (9, 23, 5.5)])
def test_places_are_told_from_the_middle(across, down, half):
    x, y, size = placement(across, down, half)
    assert (x + 1) * SIZE / 2 == pytest.approx(across)
    assert (y + 1) * SIZE / 2 == pytest.approx(down)
    assert np.exp(size) * SIZE / 4 == pytest.approx(half)
