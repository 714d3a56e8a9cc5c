"""The declared model as a validator's engine holds it: in every dtype that miners may declare."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ranvier.engines import EngineClient, EngineUnfit, ModelInfo
from ranvier.engines.image.calibration import Calibration

T_contra = TypeVar("T_contra", contravariant=True)


class Call(Protocol[T_contra]):
    """A method of an engine client that answers several requests."""

    def __call__(self, requests: Sequence[T_contra], *, model: str | None) -> Awaitable[Sequence[bytes]]:
        """One answer for each."""


@dataclass(frozen=True, slots=True)
class Held:
    """What pictures are verified with."""

    engine: EngineClient
    calibration: Calibration
    names: Mapping[str, str]
    """Of the served models, by dtype."""
    verifiers: Mapping[str, str]
    """The dtype to verify in, by the dtype that a miner declares."""

    async def each(
        self, call: Call[T_contra], asked: Sequence[tuple[str, T_contra]], most: int
    ) -> list[bytes]:
        """Carry out requests, each beside the dtype of its miner, by the models that verify those; in their order.

        At most ``most`` are sent at once. Raises `EngineError`.
        """
        names = [self.names[self.verifiers[miner]] for miner, _ in asked]
        made: dict[int, bytes] = {}
        for name in dict.fromkeys(names):
            places = [place for place, one in enumerate(names) if one == name]
            for start in range(0, len(places), most):
                part = places[start : start + most]
                answers = await call([asked[place][1] for place in part], model=name)
                made.update(zip(part, answers, strict=True))
        return [made[place] for place in range(len(asked))]


async def hold(engine: EngineClient, known: Calibration, features: Iterable[str]) -> Held:
    """What the engine holds now. Raises `EngineUnfit`, saying what to start, where that does not do."""
    try:
        return _held(engine, await engine.info(), known, frozenset(features))
    except EngineUnfit:  # it may have been started anew, with more
        return _held(engine, await engine.info(fresh=True), known, frozenset(features))


def _held(
    engine: EngineClient, infos: Sequence[ModelInfo], known: Calibration, features: frozenset[str]
) -> Held:
    images = [one for one in infos if one.kind == "image"]
    same = [
        one for one in images if (one.digest, _device(one.device)) == (known.digest, _device(known.device))
    ]
    if not same:
        listed = ", ".join(f"{one.id} ({one.dtype}, {one.device})" for one in images) or "no image model"
        raise EngineUnfit(
            engine.endpoint,
            f"it serves {listed}; the gate's thresholds are of {known.model} on {known.device}, digest "
            f"{known.digest[:12]}: measure yours with `python -m ranvier.engines.image.gate` and name the file in the "
            "setting `gate`",
        )
    for one in same:
        if missing := sorted(features - set(one.features)):
            raise EngineUnfit(engine.endpoint, f"{one.id} does not offer {', '.join(missing)}")
    names = {one.dtype: one.id for one in reversed(same)}
    verifiers = {miner: known.verifier(miner, names) for miner in known.dtypes}
    if lacking := [miner for miner, dtype in verifiers.items() if dtype is None]:
        raise EngineUnfit(engine.endpoint, _lack(known, names, lacking))
    return Held(
        engine, known, names, {miner: dtype for miner, dtype in verifiers.items() if dtype is not None}
    )


def _lack(known: Calibration, names: Mapping[str, str], lacking: Sequence[str]) -> str:
    whole = " ".join(f"--model image={known.model}@{dtype}" for dtype in known.dtypes)
    return (
        f"it holds {known.model} in {' and '.join(names)} only, and miners may compute in {' and '.join(lacking)}, "
        f"whose rounding hides cheats from another dtype: start it with `ranvier engine {whole}`"
    )


def _device(device: str) -> str:
    """Without the number of a card."""
    return device.partition(":")[0]
