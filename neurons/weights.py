"""WeightSetter: one vector an epoch, journalled before it is sent, retried until the epoch ends, read back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from ranvier.chain import CallRefused, ChainClient, ChainError, Keypair, Metagraph, Neuron, SetWeights
from ranvier.neurons.errors import BadWeights, NotRegistered
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import REFUSED, Journal, Slot, Vector, VectorStatus
from ranvier.neurons.vectors import as_row, quantise, same_row, still_there

LASTING: Final = frozenset(
    {
        "DuplicateUids",
        "IncorrectWeightVersionKey",
        "MaxWeightExceeded",
        "SubNetworkDoesNotExist",
        "UidVecContainInvalidOne",
        "UidsLengthExceedUidsInSubNet",
        "WeightVecLengthIsLow",
        "WeightVecNotEqualSize",
    }
)
"""Refusals that the same vector would meet again in the same epoch."""
NOWHERE: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({})
SUBMIT_SECONDS: Final = 30.0
_log = logging.getLogger(__name__)


class Landing(StrEnum):
    """How an epoch's setting of weights ended."""

    LANDED = "landed"
    ALREADY = "landed before"
    REFUSED = "refused"
    EPOCH_ENDED = "epoch ended"


@dataclass(frozen=True, slots=True)
class WeightsOutcome:
    """What came of one `WeightSetter.set`. ``weights`` are u16 by hotkey, as journalled."""

    landing: Landing
    epoch: int
    weights: Mapping[str, int]
    attempts: int
    detail: str = ""

    @property
    def landed(self) -> bool:
        """Whether the vector is on the chain, read back."""
        return self.landing in (Landing.LANDED, Landing.ALREADY)


class WeightSetter:
    """Sets the weights of one hotkey on one subnet; usable alone, with a path as journal.

    The file is locked while the setter is open: close it, or use ``with``.
    """

    def __init__(
        self,
        chain: ChainClient,
        key: Keypair,
        netuid: int,
        journal: Path | Journal,
        *,
        network: str | None = None,
        version_key: int = 0,
    ) -> None:
        """``network`` names the chain in the journal (default: its endpoint). Raises `StateError`s."""
        self._chain, self._key, self._netuid = chain, key, netuid
        self._version_key = version_key
        self._network = network or chain.endpoint
        self._database = Database(journal) if isinstance(journal, Path) else None
        self._journal = Journal(self._database) if self._database else _given(journal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the journal, where the setter opened it."""
        if self._database is not None:
            self._database.close()
            self._database = None

    async def set(
        self, weights: Mapping[str, float], *, places: Mapping[str, tuple[int, int]] = NOWHERE
    ) -> WeightsOutcome:
        """Bring ``weights`` (relative, by hotkey) onto the chain in the present epoch.

        Hotkeys that left, or that moved from their ``places`` (uid, registered_at), get nothing. Where a vector of
        this epoch may have been sent already, that one is sent again instead. Returns when it was read back, when
        it cannot succeed, or when the epoch ended. Raises `BadWeights`, `NotRegistered`, and `ChainError` only
        where not even the first reading of the metagraph succeeds.
        """
        metagraph = await self._chain.metagraph(self._netuid)
        self._own_neuron(metagraph)
        slot = Slot(self._network, self._netuid, metagraph.last_step, self._key.ss58_address)
        vector = self._journal.current(slot)
        if vector is None:
            chosen = quantise(still_there(weights, metagraph, places))
            vector = self._journal.intend(slot, chosen, metagraph.block)
        elif vector.status is VectorStatus.LANDED:
            return self._outcome(vector, Landing.ALREADY, "the journal has it")
        elif await self._look(vector, metagraph):
            return self._outcome(vector, Landing.ALREADY, "found on the chain")
        else:
            # A process that died after sending left no outcome: from here on no refusal proves anything.
            self._journal.note(vector, metagraph.block, "unknown", "found in the journal, not on the chain")
        return await self._until_epoch_ends(vector)

    async def _until_epoch_ends(self, vector: Vector) -> WeightsOutcome:
        detail, pause = "", 0.25
        while True:
            try:
                metagraph = await self._chain.metagraph(self._netuid)
                if metagraph.last_step != vector.slot.epoch:
                    return self._outcome(
                        vector, Landing.EPOCH_ENDED, detail or "it ended before they were sent"
                    )
                if await self._send(vector, metagraph):
                    return self._outcome(vector, Landing.LANDED, "")
                await self._next_block(metagraph.block)
            except CallRefused as error:
                detail = f"{error.name}: {error.message}"
                lasting = error.name in LASTING
                self._refused(vector, detail, lasting=lasting)
                if lasting:
                    return self._outcome(vector, Landing.REFUSED, detail)
                await self._next_block(metagraph.block)
            except ChainError as error:
                detail = str(error)
                self._journal.note(vector, 0, "unknown", detail)
                _log.warning("setting weights: %s; trying again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 12.0)

    async def _send(self, vector: Vector, metagraph: Metagraph) -> bool:
        """Whether the vector was read back after sending it, or is found to be there already."""
        if self._journal.attempts(vector.slot) and await self._look(vector, metagraph):
            return True
        row = as_row(vector.weights, metagraph)
        if not row:
            raise BadWeights("every hotkey of the vector has left the subnet")
        call = SetWeights(self._netuid, tuple(row), tuple(row.values()), self._version_key)
        receipt = await self._chain.submit(call, self._key, deadline=SUBMIT_SECONDS)
        self._journal.note(vector, receipt.block, "included", receipt.call_hash)
        return await self._look(vector, await self._chain.metagraph(self._netuid))

    async def _look(self, vector: Vector, metagraph: Metagraph) -> bool:
        """Whether the chain holds the vector; if so the journal says so, too."""
        own = self._own_neuron(metagraph)
        if own.last_update < vector.block:
            return False
        stored = (await self._chain.weights(self._netuid)).get(own.uid, {})
        if not same_row(as_row(vector.weights, metagraph), stored):
            return False
        self._journal.note(vector, metagraph.block, "landed", "read back", VectorStatus.LANDED)
        return True

    def _refused(self, vector: Vector, detail: str, *, lasting: bool) -> None:
        """A lasting refusal frees the epoch for another vector, but only if no earlier attempt may have landed."""
        proven = lasting and self._journal.may_be_refused(vector)
        self._journal.note(vector, 0, REFUSED, detail, VectorStatus.REFUSED if proven else None)

    async def _next_block(self, after: int) -> None:
        async for _ in self._chain.blocks(after):
            return

    def _own_neuron(self, metagraph: Metagraph) -> Neuron:
        own = metagraph.by_hotkey(self._key.ss58_address)
        if own is None:
            raise NotRegistered(self._key.ss58_address, self._netuid, self._network)
        return own

    def _outcome(self, vector: Vector, landing: Landing, detail: str) -> WeightsOutcome:
        count = len(self._journal.attempts(vector.slot))
        return WeightsOutcome(landing, vector.slot.epoch, vector.weights, count, detail)


def _given(journal: Path | Journal) -> Journal:
    assert isinstance(journal, Journal)
    return journal
