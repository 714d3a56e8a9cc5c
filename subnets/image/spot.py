"""The spot check: some links of a picture's chain made again, from latents that its miner had committed to.

The miner opens everything it committed to where that is not too large: then it cannot tell which links are checked,
and to refuse is worth no more to a cheat whose luck is out than to any other. Where only the links are opened a miner
that does not open them counts as caught, because it knew which they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ranvier.engines import DecodeRequest, StepRequest
from ranvier.engines.image.calibration import Calibration
from ranvier.engines.image.distance import distance
from ranvier.engines.image.png import Pixels, read_png
from ranvier.protocol import Answered, Dendrite, Refused
from ranvier.subnets.image.held import Held
from ranvier.subnets.image.miner import drawing
from ranvier.subnets.image.opening import OpenLatents
from ranvier.subnets.image.synapse import ImageGeneration
from ranvier.subnets.subnet import Answer, Round, Verdict
from ranvier.subnets.verification.links import draw_links
from ranvier.subnets.verification.merkle import opens

WHOLE: Final = 4 << 20
"""Bytes of a picture's latents up to which all of them are opened."""
AT_ONCE: Final = 64
"""Steps that are made again in one request to the engine."""
TRIES: Final = 2
"""How often an opening is asked for that does not come."""


@dataclass(frozen=True, slots=True)
class Chain:
    """An answer's drawn links, and its opened latents by number (from 1), each proven to be what was committed to."""

    answer: Answer[ImageGeneration]
    links: tuple[int, ...]
    latents: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class SpotCheck:
    """One validator's spot checks in one round."""

    held: Held
    dendrite: Dendrite
    round: Round
    checks: int
    deadline: float

    @property
    def model(self) -> Calibration:
        """What was measured of the declared model."""
        return self.held.calibration

    async def verdicts(
        self, answers: Sequence[Answer[ImageGeneration]], pictures: Sequence[Pixels]
    ) -> list[Verdict]:
        """One for each answer, whose picture was read. Raises `EngineError` where the validator's own engine fails."""
        opened = await asyncio.gather(*(self._open(answer) for answer in answers))
        chains = [one for one in opened if isinstance(one, Chain)]
        steps = iter(await self._steps(chains))
        ends = iter(await self._ends(chains))
        return [
            self._judge(one, picture, [next(steps) for _ in one.links], next(ends))
            if isinstance(one, Chain)
            else one
            for one, picture in zip(opened, pictures, strict=True)
        ]

    async def _open(self, answer: Answer[ImageGeneration]) -> Chain | Verdict:
        """Ask for the latents. The draw is of the secret, and was not known to anybody when the miner committed."""
        root, request, steps = answer.reply.root, answer.task.request, self.model.steps
        if root is None:
            return Verdict(0.0, "no commitment to latents")
        purpose = f"links|{request.challenge}|{root.hex()}"
        links = draw_links(self.round.random(answer.task.peer.hotkey, purpose=purpose), steps, self.checks)
        whole = steps * self.model.latents <= WHOLE
        numbers = range(1, steps + 1) if whole else _needed(links, steps)
        asked = OpenLatents(challenge=request.challenge, numbers=tuple(numbers))
        reply = await self._ask(answer, asked)
        if isinstance(reply, str):
            return Verdict(0.0, f"not opened: {reply}", caught=not whole)
        if not self._proven(root, asked, reply):
            return Verdict(0.0, "what was opened is not what was committed to", caught=True)
        return Chain(answer, links, dict(zip(asked.numbers, reply.latents, strict=True)))

    async def _ask(self, answer: Answer[ImageGeneration], asked: OpenLatents) -> OpenLatents.Reply | str:
        """What was opened, or why nothing was."""
        why = ""
        for _ in range(TRIES):
            outcome = await self.dendrite.ask(answer.task.peer.target, asked, deadline=self.deadline / TRIES)
            if isinstance(outcome, Answered):
                opened: OpenLatents.Reply = outcome.reply
                return opened
            why = outcome.code if isinstance(outcome, Refused) else type(outcome).__name__.lower()
        return why

    def _proven(self, root: bytes, asked: OpenLatents, reply: OpenLatents.Reply) -> bool:
        """Whether everything that was asked for is there, is as large as it must be, and was committed to."""
        if not len(asked.numbers) == len(reply.latents) == len(reply.paths):
            return False
        return all(
            len(latents) == self.model.latents and opens(root, self.model.steps, number - 1, latents, path)
            for number, latents, path in zip(asked.numbers, reply.latents, reply.paths, strict=True)
        )

    async def _steps(self, chains: Sequence[Chain]) -> list[npt.NDArray[np.float32] | None]:
        """The latents that each drawn link must lead to; None where it starts from what is no number."""
        asked = [
            (
                chain.answer.reply.dtype,
                StepRequest(
                    drawing(chain.answer.task.request, chain.answer.task.peer.hotkey, self.round.validator),
                    link,
                    chain.latents[link] if link else b"",
                ),
            )
            for chain in chains
            for link in chain.links
        ]
        sound = [(dtype, one) for dtype, one in asked if _finite(one.latents)]
        again = iter(await self.held.each(self.held.engine.steps, sound, AT_ONCE))
        return [np.frombuffer(next(again), "<f4") if _finite(one.latents) else None for _, one in asked]

    async def _ends(self, chains: Sequence[Chain]) -> list[Pixels | None]:
        """The picture of each chain's last latents; None where those are no numbers."""
        last = [chain.latents[self.model.steps] for chain in chains]
        sound = [
            (chain.answer.reply.dtype, DecodeRequest(one, self.model.width, self.model.height))
            for chain, one in zip(chains, last, strict=True)
            if _finite(one)
        ]
        pictures = iter(await self.held.each(self.held.engine.decode, sound, AT_ONCE))
        return [
            read_png(next(pictures), self.model.width, self.model.height) if _finite(one) else None
            for one in last
        ]

    def _judge(
        self,
        chain: Chain,
        picture: Pixels,
        expected: Sequence[npt.NDArray[np.float32] | None],
        end: Pixels | None,
    ) -> Verdict:
        miner, verdict, worst = chain.answer.reply.dtype, "same", 0.0
        verifier = self.held.verifiers[miner]
        for link, ours in zip(chain.links, expected, strict=True):
            after, found = chain.latents[link + 1], "other"
            if ours is not None and _finite(after):
                apart = np.abs(np.frombuffer(after, "<f4").astype(np.float64) - ours)
                worst = max(worst, float(apart.mean()))
                high = float(np.percentile(apart, 99))
                found = self.model.judge_link(link, float(apart.mean()), high, miner, verifier)
            verdict = max(verdict, found, key=("same", "doubtful", "other").index)
        facts = {"links": float(len(chain.links)), "mean": min(worst, 1e9)}
        shown = f"steps {', '.join(str(link + 1) for link in chain.links)} of {self.model.steps}"
        if verdict != "same":
            why = "was not made" if verdict == "other" else "is doubtful"
            return Verdict(
                0.0,
                f"one of {shown} {why}: {worst:.2g} apart",
                caught=verdict == "other",
                evidence=facts,
                suspicion=1.0,
            )
        if end is None or self.model.judge(distance(picture, end), miner, verifier) != "same":
            return Verdict(0.0, "the last latents are another picture", caught=True, evidence=facts)
        return Verdict(1.0, f"same chain in {shown}", evidence=facts)


def _needed(links: Sequence[int], steps: int) -> list[int]:
    """Numbers of the latents that some links and the picture take; those before the first step are the noise."""
    return sorted({number for link in links for number in (link, link + 1) if number} | {steps})


def _finite(latents: bytes) -> bool:
    """None at all are finite as well: they stand for the noise."""
    return bool(np.isfinite(np.frombuffer(latents, "<f4")).all())
