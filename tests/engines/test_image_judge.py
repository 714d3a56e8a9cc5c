"""The scorer of compositions: what is asked, what counts as seen, and a judge that learns to see."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
Image = pytest.importorskip("PIL.Image")

from ranvier.engines.training.compositions import ask, compositions  # noqa: E402
from ranvier.engines.training.judge import KINDS, WINDOW, Judge, Seen, truth, windows  # noqa: E402
from ranvier.engines.training.judge_scenes import compare, painted_with, score  # noqa: E402
from ranvier.engines.training.objects import OBJECTS  # noqa: E402
from ranvier.engines.training.scenes import COLOURS, PLACES, Scene, Thing  # noqa: E402
from ranvier.engines.training.withheld import FAMILIES, PAIRS, pairs_of, withheld  # noqa: E402

NOTHING = (None,) * len(PLACES)
LEFT, RIGHT = list(PLACES).index("left"), list(PLACES).index("right")


def seen(at, kind, colour=None, ground="white"):
    kinds, colours = list(NOTHING), list(NOTHING)
    kinds[at], colours[at] = kind, colour
    return Seen(tuple(kinds), tuple(colours), ground)


def asked(family, attribute, name):
    return ask(np.random.default_rng(0), family, (attribute, name))


@pytest.fixture(scope="module")
def sprites():
    return {name: [Image.new("RGBA", (64, 64), (255, 0, 255, 255))] for name in OBJECTS}


class Oracle:
    """Sees in the n-th picture what the n-th caption says."""

    def __init__(self, asked):
        self.asked = asked

    def look(self, pictures):
        assert len(pictures) == len(self.asked)
        return [self.one(one.scene) for one in self.asked]

    @staticmethod
    def one(scene):
        thing = scene.first
        return seen(list(PLACES).index(thing.place), thing.shape, thing.colour, scene.colour)


def test_each_withheld_pair_is_asked_for_beside_a_trained_one_of_its_object():
    rows = list(compositions(np.random.default_rng(1), 2))
    assert len(rows) == 2 * PAIRS
    for left_out, trained in rows:
        assert withheld(left_out.scene) == {left_out.pair}
        assert not withheld(trained.scene)
        assert trained.pair in set(pairs_of(trained.scene))
        assert trained.family == left_out.family
        assert trained.pair[1] == left_out.pair[1]
    assert {one.pair for one, _ in rows} == frozenset().union(*FAMILIES.values())


def test_the_colour_must_be_that_of_the_shape():
    one = asked("colour and shape", "red", "star")
    assert one.pair_seen(seen(LEFT, "star", "red"))
    assert not one.pair_seen(seen(LEFT, "star", "blue"))
    assert not one.pair_seen(seen(LEFT, "ring", "red"))
    assert one.object_seen(seen(RIGHT, "star", "blue"))


def test_the_thing_must_lie_at_its_place():
    one = asked("place and thing", "left", "dog")
    assert one.pair_seen(seen(LEFT, "dog"))
    assert not one.pair_seen(seen(RIGHT, "dog"))
    assert one.object_seen(seen(RIGHT, "dog"))
    assert not one.object_seen(seen(LEFT, "cat"))


def test_the_ground_must_have_its_colour_and_the_thing_be_on_it():
    one = asked("ground and thing", "blue", "dog")
    assert one.pair_seen(seen(RIGHT, "dog", ground="blue"))
    assert not one.pair_seen(seen(RIGHT, "dog", ground="red"))
    assert not one.pair_seen(seen(RIGHT, "cat", ground="blue"))


def test_truth_is_what_the_caption_says():
    first, second = Thing("ring", "red", None, "left"), Thing("dog", None, None, "right")
    kinds, colours, ground = truth(Scene(first, second, "plain", "blue"))
    assert (KINDS[kinds[LEFT] - 1], KINDS[kinds[RIGHT] - 1]) == ("ring", "dog")
    assert (list(COLOURS)[colours[LEFT] - 1], colours[RIGHT]) == ("red", 0)
    assert sum(map(bool, kinds)) == 2
    assert list(COLOURS)[ground] == "blue"


def test_windows_are_cut_around_the_places():
    pixels = torch.zeros(1, 3, 32, 32)
    x, y = PLACES["bottom right"]
    pixels[..., y, x] = 1
    cut = windows(pixels)
    assert cut.shape == (1, len(PLACES), 3, WINDOW, WINDOW)
    assert cut[0, list(PLACES).index("bottom right"), 0, WINDOW // 2, WINDOW // 2] == 1


def test_a_perfect_judge_finds_everything_and_chance_is_what_other_captions_find(sprites):
    rows = [one for one, _ in compositions(np.random.default_rng(2), 1)]
    part = [one for one in rows if one.family == "colour and shape"]
    painter = painted_with(sprites, np.random.default_rng(3))
    assert score(Oracle(part), part, painter(part)).pair_seen == 1.0
    shifted = part[1:] + part[:1]
    found = score(Oracle(shifted), part, painter(part))
    assert found.pair_seen < 0.2
    assert found.pictures == len(part)


def test_every_family_is_compared(sprites):
    class Blind(Judge):
        def look(self, pictures):
            return [Seen(NOTHING, NOTHING, "white")] * len(pictures)

    rows = [one for one, _ in compositions(np.random.default_rng(2), 1)]
    painter = painted_with(sprites, np.random.default_rng(3))
    found = compare(Blind(), rows, painter, painter)
    assert set(found) == set(FAMILIES)
    assert {one.model.pair_seen for one in found.values()} == {0.0}
    assert sum(one.model.pictures for one in found.values()) == PAIRS


def test_an_untrained_judge_answers_in_known_words(sprites):
    rows = [one for one, _ in compositions(np.random.default_rng(2), 1)][:5]
    torch.manual_seed(0)
    for what in Judge().eval().look(painted_with(sprites, np.random.default_rng(3))(rows)):
        assert len(what.kinds) == len(what.colours) == len(PLACES)
        assert {*what.kinds} <= {None, *KINDS}
        assert what.ground in COLOURS
