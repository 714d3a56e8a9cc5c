"""WeightSetter: one vector an epoch, journalled before it is sent, retried until the epoch ends, read back."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ranvier.chain import (
    Call,
    CallRefused,
    ChainClient,
    ChainError,
    CommitTimelocked,
    CommitWeights,
    Keypair,
    Metagraph,
    Neuron,
    SetWeights,
    commit_hash,
)
from ranvier.neurons.errors import NotRegistered
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import (
    INCLUDED,
    REFUSED,
    UNKNOWN,
    Form,
    Intent,
    IntentStatus,
    Journal,
    Promise,
    Slot,
)
from ranvier.neurons.vectors import NOWHERE, WeightRow, WeightVector

LASTING: Final = frozenset(
    {
        "CommitRevealDisabled",
        "CommitRevealEnabled",
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
SUBMIT_SECONDS: Final = 30.0
SALT_LENGTH: Final = 8
LONGEST_PAUSE: Final = 12.0
"""Seconds between two attempts at a chain that does not answer, or half a block if that is less."""
_log = logging.getLogger(__name__)


class Landing(StrEnum):
    """How an epoch's setting of weights ended."""

    LANDED = "landed"
    ALREADY = "landed before"
    PROMISED = "promised"
    """The chain holds its commitment; the row follows when its window opens."""
    LATE = "landed late"
    """The vector of an earlier epoch landed in this one, and a second one must not follow it."""
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
        """Whether the chain holds the vector, or the promise of it, read back."""
        return self.landing not in (Landing.REFUSED, Landing.EPOCH_ENDED)


def _trusting(metagraph: Metagraph) -> None:
    """Nobody else uses the hotkey."""


class WeightSetter:
    """Sets the weights of one hotkey on one subnet; usable alone, with a path as journal.

    On a subnet with commit-reveal it sends a promise instead; a `Revealer` on the same journal keeps it. The file is
    locked while the setter is open: close it, or use ``with``.
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
        guard: Callable[[Metagraph], None] = _trusting,
    ) -> None:
        """``network`` names the chain in the journal (default: its endpoint). Raises `StateError`s.

        ``guard`` sees the metagraph before every sending; what it raises ends `set`, and nothing is sent.
        """
        self._chain, self._key, self._netuid = chain, key, netuid
        self._version_key, self._guard = version_key, guard
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
        longest = min(LONGEST_PAUSE, await self._chain.block_time() / 2)
        metagraph = await self._chain.metagraph(self._netuid)
        slot = Slot(self._network, self._netuid, metagraph.last_step, self._key.ss58_address)
        intent = self._journal.current(slot)
        if (late := self._landed_late(slot, metagraph)) is not None:
            return late
        if intent is None:
            vector = WeightVector.of(weights, metagraph, places)
            form = await self._form()
            promise = self._promise(vector.row(metagraph)) if form is Form.HASHED else None
            intent = self._journal.intend(slot, vector, metagraph.block, form, promise)
        elif intent.status is not IntentStatus.INTENDED:
            return self._outcome(intent, Landing.ALREADY, f"the journal has it as {intent.status}")
        else:
            # A process that died after sending left no outcome: from here on no refusal proves anything.
            self._journal.doubt(slot, metagraph.block)
            if await self._look(intent, metagraph):
                return self._outcome(intent, Landing.ALREADY, "found on the chain")
        return await self._until_epoch_ends(intent, longest)

    def _landed_late(self, slot: Slot, metagraph: Metagraph) -> WeightsOutcome | None:
        """Where the chain took a vector of an earlier epoch in the present one: a second one must not follow."""
        own = self._own_neuron(metagraph)
        # An epoch runs before the calls of its block, so a call of that very block belongs to the new one.
        if own.last_update < metagraph.last_step or own.last_update == own.registered_at:
            return None
        found = self._journal.explanation(slot, own.last_update, 2 * metagraph.tempo)
        if found is None or found.slot.epoch >= slot.epoch:
            return None
        detail = f"the vector of epoch {found.slot.epoch} landed in this one"
        return WeightsOutcome(
            Landing.LATE, slot.epoch, found.vector.values, self._sendings(found.slot), detail
        )

    async def _form(self) -> Form:
        """How the subnet takes weights now."""
        if not (await self._chain.hyperparameters(self._netuid)).commit_reveal:
            return Form.OPEN
        return Form.TIMED if await self._chain.supports(CommitTimelocked) else Form.HASHED

    def _promise(self, row: WeightRow) -> Promise:
        salt = tuple(secrets.randbelow(1 << 16) for _ in range(SALT_LENGTH))
        who = self._key.ss58_address, self._netuid
        return Promise(
            commit_hash(*who, row.uids, row.values, salt, self._version_key), row, salt, self._version_key
        )

    async def _until_epoch_ends(self, intent: Intent, longest: float) -> WeightsOutcome:
        detail, pause, tried = "", min(0.25, longest), -1
        while True:
            try:
                await self._later(tried, longest / 2)
                metagraph = await self._chain.metagraph(self._netuid)
                tried = metagraph.block
                if metagraph.last_step != intent.slot.epoch:
                    return self._outcome(
                        intent, Landing.EPOCH_ENDED, detail or "it ended before they were sent"
                    )
                if await self._send(intent, metagraph):
                    landing = Landing.LANDED if intent.form is Form.OPEN else Landing.PROMISED
                    return self._outcome(intent, landing, "")
            except CallRefused as error:
                detail = f"{error.name}: {error.message}"
                lasting = error.name in LASTING
                self._refused(intent, detail, lasting=lasting)
                if lasting:
                    return self._outcome(intent, Landing.REFUSED, detail)
            except ChainError as error:
                detail = str(error)
                self._journal.note(intent, 0, UNKNOWN, detail)
                _log.warning("setting weights: %s; trying again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    async def _send(self, intent: Intent, metagraph: Metagraph) -> bool:
        """Whether the vector was read back after sending it, or is found to be there already."""
        if self._journal.attempts(intent.slot) and await self._look(intent, metagraph):
            return True
        self._guard(metagraph)
        receipt = await self._chain.submit(self._call(intent, metagraph), self._key, deadline=SUBMIT_SECONDS)
        self._journal.note(intent, receipt.block, INCLUDED, receipt.call_hash)
        return await self._look(intent, await self._chain.metagraph(self._netuid))

    def _call(self, intent: Intent, metagraph: Metagraph) -> Call:
        """What is sent. An open row holds only hotkeys that still sit where they were scored; a promise is fixed."""
        if intent.promise is not None:
            return CommitWeights(self._netuid, intent.promise.hash)
        row = intent.vector.row(metagraph)
        kind = CommitTimelocked if intent.form is Form.TIMED else SetWeights
        return kind(self._netuid, row.uids, row.values, self._version_key)

    async def _look(self, intent: Intent, metagraph: Metagraph) -> bool:
        """Whether the chain holds the vector or its promise; if so the journal says so, too."""
        own = self._own_neuron(metagraph)
        if own.last_update < intent.block:
            return False
        if intent.form is not Form.OPEN:
            return await self._look_for_promise(intent)
        stored = (await self._chain.weights(self._netuid)).get(own.uid, {})
        if not intent.vector.row(metagraph).is_stored(stored):
            return False
        self._journal.note(intent, own.last_update, "landed", "read back", IntentStatus.LANDED)
        return True

    async def _look_for_promise(self, intent: Intent) -> bool:
        commits = await self._chain.commits(self._netuid, self._key.ss58_address)
        wanted = intent.promise.hash if intent.promise else ""
        held = [commit for commit in commits if commit.hash == wanted and commit.block >= intent.block]
        if not held:
            return False
        window = f"to be seen in blocks {held[0].first_reveal} to {held[0].last_reveal}"
        self._journal.note(intent, held[-1].block, "promised", window, IntentStatus.PROMISED)
        return True

    def _refused(self, intent: Intent, detail: str, *, lasting: bool) -> None:
        """A lasting refusal frees the epoch for another vector, but only if no earlier attempt may have landed."""
        proven = lasting and self._journal.may_be_refused(intent)
        self._journal.note(intent, 0, REFUSED, detail, IntentStatus.REFUSED if proven else None)

    async def _later(self, than: int, pause: float) -> None:
        """Until a later block; asked for, since a subscription may have died without a sign."""
        while than >= 0 and (await self._chain.block()).number <= than:  # noqa: ASYNC110  a poll it is
            await asyncio.sleep(pause)

    def _own_neuron(self, metagraph: Metagraph) -> Neuron:
        own = metagraph.by_hotkey(self._key.ss58_address)
        if own is None:
            raise NotRegistered(self._key.ss58_address, self._netuid, self._network)
        return own

    def _outcome(self, intent: Intent, landing: Landing, detail: str) -> WeightsOutcome:
        count = self._sendings(intent.slot)
        return WeightsOutcome(landing, intent.slot.epoch, intent.vector.values, count, detail)

    def _sendings(self, slot: Slot) -> int:
        """How often it was tried; what was only found by looking does not count."""
        return sum(one.outcome in (INCLUDED, REFUSED, UNKNOWN) for one in self._journal.attempts(slot))


def _given(journal: Path | Journal) -> Journal:
    assert isinstance(journal, Journal)
    return journal
