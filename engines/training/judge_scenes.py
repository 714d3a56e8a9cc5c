"""Score whether pictures show what captions say, pairs that training left out apart from those it had.

    python -m ranvier.engines.training.judge_scenes --model scenes --sprites FOLDER

Trains a judge (`judge.py`; some three CPU minutes) and lets it look at pictures of `compositions.py`. Two figures frame
the model's: painted pictures of the same scenes (what the judge makes of perfect ones), and the model's own pictures
under captions of other pictures (what chance would give).
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file

from ranvier.engines.image.calibration import SHIPPED
from ranvier.engines.image.model import MAX_BATCH, SCENES, DiffusersImageModel, load_image
from ranvier.engines.image.pipeline import GUIDANCE, STEPS
from ranvier.engines.models import ImageRequest
from ranvier.engines.training.compositions import Asked, compositions
from ranvier.engines.training.judge import Judge, train_judge
from ranvier.engines.training.painting import Sprites, paint
from ranvier.engines.training.scenes import SIZE, Random
from ranvier.engines.training.sprites import load
from ranvier.engines.training.withheld import FAMILIES

SEED: Final = 2025
"""Of captions, noise and judge; not that of any training run."""
Painter = Callable[[Sequence[Asked]], list[Any]]
_log = logging.getLogger(__name__)


class Score(BaseModel):
    """Shares in [0, 1] of ``pictures`` in which the object is seen, and the object with its attribute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int
    object_seen: float
    pair_seen: float


class Compared(BaseModel):
    """The model's pictures of one family of pairs, between perfect pictures and chance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Score
    painted: Score
    chance: Score


class Report(BaseModel):
    """What is written. ``withheld_from`` is the training step from which pairs were left out, None if they never were:
    then "withheld" pairs were trained, too, and both halves say only how well captions are followed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    digest: str
    trained_steps: int | None
    withheld_from: int | None
    withheld: dict[str, Compared]
    trained: dict[str, Compared]


def score(judge: Judge, asked: Sequence[Asked], pictures: Sequence[Any]) -> Score:
    """What the judge sees of ``asked`` in ``pictures``."""
    seen = judge.look(pictures)
    rows = [(one.object_seen(what), one.pair_seen(what)) for one, what in zip(asked, seen, strict=True)]
    objects, pairs = (round(sum(column) / len(rows), 3) for column in zip(*rows, strict=True))
    return Score(pictures=len(rows), object_seen=objects, pair_seen=pairs)


def drawn_by(model: DiffusersImageModel, rng: Random) -> Painter:
    """Pictures by the model, each with noise of its own."""

    def draw(asked: Sequence[Asked]) -> list[Any]:
        requests = [
            ImageRequest(one.scene.caption(), rng.bytes(32), STEPS, GUIDANCE, SIZE, SIZE) for one in asked
        ]
        parts = [requests[start : start + MAX_BATCH] for start in range(0, len(requests), MAX_BATCH)]
        return [pixels for part in parts for pixels in model.draw(part)]

    return draw


def painted_with(sprites: Sprites, rng: Random) -> Painter:
    """Pictures by the program that made the training set."""

    def draw(asked: Sequence[Asked]) -> list[Any]:
        pixels = [paint(one.scene, rng, sprites).transpose(1, 2, 0) for one in asked]
        return [np.rint((one + 1) * 127.5).astype(np.uint8) for one in pixels]

    return draw


def compare(judge: Judge, asked: Sequence[Asked], model: Painter, painter: Painter) -> dict[str, Compared]:
    """By family."""
    found = {}
    for family in FAMILIES:
        part = [one for one in asked if one.family == family]
        pictures = model(part)
        # Half the list further is another object: a list holds the scenes of one pair side by side.
        half = len(part) // 2
        found[family] = Compared(
            model=score(judge, part, pictures),
            painted=score(judge, part, painter(part)),
            chance=score(judge, part, pictures[half:] + pictures[:half]),
        )
    return found


def judge_of(path: Path | None, sprites: Sprites, steps: int) -> Judge:
    """A judge from ``path``, or else one that is trained now and kept there if there is a path."""
    if path and path.exists():
        judge = Judge()
        judge.load_state_dict(load_file(path))
        judge.eval()
        return judge
    judge = train_judge(sprites, steps, SEED)
    if path:
        save_file(judge.state_dict(), path)
    return judge


def report(name: str, source: Path | None, sprites: Sprites, each: int, judge: Judge) -> Report:
    """Score the model; ``each`` is how many scenes are drawn of every withheld pair."""
    model, figures = load_image(name, source), _figures(source or (SHIPPED if name == SCENES else Path(name)))
    rng = np.random.default_rng(SEED)
    left_out, trained = zip(*compositions(rng, each), strict=True)
    draw, painter = drawn_by(model, rng), painted_with(sprites, rng)
    return Report(
        model=model.info.id,
        digest=model.info.digest,
        trained_steps=figures.get("steps"),
        withheld_from=figures.get("withheld_from"),
        withheld=compare(judge, left_out, draw, painter),
        trained=compare(judge, trained, draw, painter),
    )


def _figures(folder: Path) -> dict[str, Any]:
    """The figures of the run that made the model, if it has any."""
    path = folder / "training.json"
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=SCENES, help="scenes, or a folder that publish_scenes made")
    parser.add_argument("--source", type=Path, help="folder to load the model from")
    parser.add_argument("--sprites", type=Path, required=True, help="folder for the artists' packages")
    parser.add_argument("--out", type=Path, default=SHIPPED / "judge.json")
    parser.add_argument("--each", type=int, default=3, help="scenes of every withheld pair")
    parser.add_argument("--judge-steps", type=int, default=1200)
    parser.add_argument("--judge", type=Path, help="safetensors of the judge: used if there, else made")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    sprites = load(chosen.sprites)
    judge = judge_of(chosen.judge, sprites, chosen.judge_steps)
    found = report(chosen.model, chosen.source, sprites, chosen.each, judge)
    chosen.out.write_text(found.model_dump_json(indent=1) + "\n")
    for title, families in (("withheld", found.withheld), ("trained", found.trained)):
        for family, one in families.items():
            _log.info(
                "%-8s  %-16s  pair seen: model %.2f, painted %.2f, chance %.2f",
                *(title, family, one.model.pair_seen, one.painted.pair_seen, one.chance.pair_seen),
            )


if __name__ == "__main__":
    main()
