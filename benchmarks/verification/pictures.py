"""Pictures and chains of miners that save work, in each dtype: what `images.py` judges."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np
import torch

from ranvier.engines.image.model import SCENES, DiffusersImageModel, load_image
from ranvier.engines.image.png import Pixels, read_png
from ranvier.engines.image.runs import BATCH, Latents, Pictures, Runs, rescaled
from ranvier.engines.image.schedule import noise_shares
from ranvier.engines.models import ImageRequest, StepRequest

ONE_STEP = "one step fewer"
ONE_SKIPPED = "one step skipped, whichever is met least"


def cheap(runs: Runs, dtype: str) -> Iterator[tuple[str, Pictures]]:
    """Ways to save work, by name, drawn in ``dtype``."""
    for way, change in _OTHERWISE.items():
        yield way, runs.changed(way, dtype, change)
    yield "other model (weights of 4 bits)", runs.drawn("4 bits", dtype, lambda: _rounded(runs, dtype))
    yield (
        "one step not made, gone straight on",
        runs.drawn("third skipped", dtype, lambda: _leapt(runs, dtype)),
    )
    yield "cached picture", np.roll(runs.by(dtype), -runs.seeds, axis=0)
    yield "half the size, enlarged", np.stack([rescaled(one) for one in runs.by(dtype)])
    yield "right metadata, wrong picture", _mislabelled(runs, dtype)


def _hashed(asked: ImageRequest, text: bytes) -> ImageRequest:
    return replace(asked, seed=hashlib.sha256(text).digest())


_OTHERWISE: dict[str, Callable[[ImageRequest], ImageRequest]] = {
    ONE_STEP: lambda one: replace(one, steps=one.steps - 1),
    "half the steps": lambda one: replace(one, steps=one.steps // 2),
    "no guidance": lambda one: replace(one, guidance=1.0),
    "other seed": lambda one: _hashed(one, one.seed),
    "other prompt": lambda one: replace(one, prompt="a red circle on a plain white ground"),
    "cached picture of the same prompt": lambda one: _hashed(one, one.prompt.encode()),
    "relay (the seed of another pair of hotkeys)": lambda one: _hashed(one, one.seed + b"relay"),
    "seed from the body (not bound to the hotkeys)": lambda one: _hashed(one, b"challenge" + one.seed),
}


def _mislabelled(runs: Runs, dtype: str) -> Pictures:
    """Drawn in one step, with a file that tells of all of them."""
    first, model = runs.asked[0], runs.models[dtype]
    drawn = runs.changed("one step", dtype, lambda one: replace(one, steps=1))
    return np.stack([read_png(model.encode(one, first.steps), first.width, first.height) for one in drawn])


def _rounded(runs: Runs, dtype: str) -> list[Pixels]:
    model = rounded(4, dtype)
    return [
        one
        for start in range(0, len(runs.asked), BATCH)
        for one in model.draw(runs.asked[start : start + BATCH])
    ]


def _leapt(runs: Runs, dtype: str) -> list[Pixels]:
    """With the third step skipped: the nearest to the true picture that saves a step, as far as we looked."""
    sampler, first = runs.models[dtype].sampler, runs.asked[0]
    last = torch.from_numpy(_straight(runs, dtype, lambda _row: {2})[:, -1].copy())
    made = sampler.decode(last.reshape(-1, *sampler.shape(first.width, first.height)))
    return [one for one in made if not isinstance(one, ValueError)]


def rounded(bits: int, dtype: str) -> DiffusersImageModel:
    """The model with its matrices rounded, each row by a scale of its own."""
    model = load_image(SCENES, dtype=dtype)
    most = 2 ** (bits - 1) - 1
    with torch.no_grad():
        for weights in model.pipeline.unet.parameters():
            if weights.dim() > 1:
                scale = weights.abs().flatten(1).amax(1).clamp(min=1e-8) / most
                scale = scale.reshape(-1, *[1] * (weights.dim() - 1))
                weights.copy_((weights / scale).round() * scale)
    return model


def wrong_chains(runs: Runs, dtype: str) -> Iterator[tuple[str, Latents]]:
    """Chains with wrong links, by name."""
    steps = runs.asked[0].steps
    yield "chain of another seed (cached, or relayed)", _spliced(runs, dtype)
    yield (
        "every second step skipped",
        _skipped(runs, dtype, "every second", lambda _row: set(range(2, steps, 2))),
    )
    yield ONE_SKIPPED, _skipped(runs, dtype, "one in turn", lambda row: {2 + row % (steps - 2)})


def _spliced(runs: Runs, dtype: str) -> Latents:
    """True chains of another seed after true noise."""
    others = [_hashed(one, one.seed) for one in runs.asked]
    other = runs.kept.get(f"chains of other seeds {dtype}", lambda: runs.traced(others, dtype))
    return np.concatenate([runs.chains(dtype)[:, :1], other[:, 1:]], axis=1)


def _skipped(runs: Runs, dtype: str, name: str, left_out: Callable[[int], Collection[int]]) -> Latents:
    """Chains with some steps (from 2 on) not made, but gone straight on from the one before."""
    return runs.kept.get(f"chains with {name} skipped {dtype}", lambda: _straight(runs, dtype, left_out))


def _straight(runs: Runs, dtype: str, left_out: Callable[[int], Collection[int]]) -> Latents:
    """``left_out`` says which steps, by the number of the picture."""
    steps, shares = runs.asked[0].steps, noise_shares(runs.asked[0].steps)
    chain = [runs.noise(runs.asked, dtype)]
    for number in range(steps):
        skipped = np.array([number in left_out(row) for row in range(len(runs.asked))])
        after = np.empty_like(chain[-1])
        asked = [
            StepRequest(one, number, chain[-1][row].astype("<f4").tobytes())
            for row, one in enumerate(runs.asked)
            if not skipped[row]
        ]
        if asked:
            after[~skipped] = [np.frombuffer(one, "<f4") for one in runs.models[dtype].steps(asked)]
        if skipped.any():
            past, ahead = shares[number] / shares[number - 1], shares[number + 1] / shares[number]
            before, here = chain[-2][skipped], chain[-1][skipped]
            clean = (here - past * before) / (1 - past)
            after[skipped] = clean + ahead * (here - clean)
        chain.append(after)
    return np.stack(chain, axis=1)
