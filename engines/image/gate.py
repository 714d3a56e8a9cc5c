"""The gate: does a picture prove its seed? ``python -m ranvier.engines.image.gate`` measures it and writes gate.json.

Pictures of the same prompt and seed are drawn alone, in other batches, in other places of a batch, with two threads
and through a PNG (honest runs); then in ways that would save work (cheats); then with other seeds: all of it in each
dtype that miners may declare. Thresholds follow for each pair of a miner's dtype and a verifier's, against cheats that
draw in whichever dtype. A model passes when, for a verifier of each dtype, the first percentile between seeds is at
least ten times the 99.9th between honest runs of the same dtype. Where single steps can be made again, each is.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ranvier.engines.image.calibration import (
    FLOOR,
    GATE,
    SHIPPED,
    Calibration,
    LinkLimits,
    Pair,
    Verifier,
)
from ranvier.engines.image.kept import Kept
from ranvier.engines.image.limits import link_limits, spread, thresholds
from ranvier.engines.image.model import SCENES, load_image
from ranvier.engines.image.runs import Runs

DTYPES = ("float32", "bfloat16")
_log = logging.getLogger(__name__)


def measure(
    name: str,
    source: Path | None,
    prompts: int,
    seeds: int,
    *,
    dtypes: Sequence[str] = DTYPES,
    device: str = "cpu",
    keep: Path | None = None,
) -> Calibration:
    """Run the gate for miners and verifiers of each dtype on ``device``; what is drawn is kept in ``keep``."""
    models = {dtype: load_image(name, source, dtype=dtype, device=device) for dtype in dtypes}
    runs = Runs(models, prompts, seeds, kept=Kept(keep))
    model, first = models[dtypes[0]], runs.asked[0]
    return Calibration(
        model=model.info.id,
        digest=model.info.digest,
        device=model.info.device,
        steps=first.steps,
        guidance=first.guidance,
        width=first.width,
        height=first.height,
        latents=4 * int(np.prod(model.sampler.shape(first.width, first.height))),
        prompts=prompts,
        seeds=seeds,
        verifiers={dtype: _verifier(runs, dtype) for dtype in dtypes},
    )


def _verifier(runs: Runs, dtype: str) -> Verifier:
    apart = spread(runs.between_seeds(dtype))
    cheats = {
        f"{kind}, {drawn}": spread(runs.against(dtype, pictures))
        for drawn in runs.models
        for kind, pictures in runs.cheap(drawn).items()
    }
    honest = {
        miner: {way: runs.against(dtype, drawn) for way, drawn in runs.honest(miner).items()}
        for miner in runs.models
    }
    every = {miner: spread(itertools.chain(*ways.values())) for miner, ways in honest.items()}
    rounding = max(one.mean_q999 for one in every.values())
    miners = {
        miner: Pair(
            honest={way: spread(rows) for way, rows in honest[miner].items()},
            thresholds=thresholds(every[miner], cheats, apart, rounding),
            links=_links(runs, dtype, miner),
        )
        for miner in runs.models
    }
    nearest = max(FLOOR, *(one.mean_q999 for one in miners[dtype].honest.values()))
    found = Verifier(
        seconds_per_picture=round(runs.seconds(dtype), 3),
        cheats=cheats,
        miners=miners,
        seed_to_seed=apart,
        ratio=round(apart.mean_q01 / nearest, 1),
    )
    for miner, pair in miners.items():
        parted = "parted" if found.parts(miner) else "NOT parted from cheats"
        _log.info("%s verified in %s: %s; %s", miner, dtype, parted, pair.thresholds)
    return found


def _links(runs: Runs, verifier: str, miner: str) -> tuple[LinkLimits, ...]:
    """Of single steps; none where they cannot be made again."""
    if not runs.models[miner].sampler.stepped:
        return ()
    chains = runs.chains(miner)
    return link_limits(chains, runs.again(f"chains {miner}", chains, verifier))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SCENES, help="scenes, a folder, or a hub id")
    parser.add_argument("--source", type=Path, help="folder to load the model from")
    parser.add_argument("--out", type=Path, default=SHIPPED / GATE)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument(
        "--dtypes", default=",".join(DTYPES), help="that miners may declare and validators hold, with commas"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--keep", type=Path, help="empty folder for what is drawn: the same command goes on from there"
    )
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    found = measure(
        *(chosen.model, chosen.source, chosen.prompts, chosen.seeds),
        dtypes=tuple(chosen.dtypes.split(",")),
        device=chosen.device,
        keep=chosen.keep,
    )
    chosen.out.write_text(found.model_dump_json(indent=1) + "\n")
    _log.info("ratio %.1f: %s", found.ratio, "passed" if found.passed else "NOT passed")


if __name__ == "__main__":
    main()
