"""Keeping promised weights: rows are shown in their window, by whatever process lives then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from ranvier.chain import CallRefused, ChainClient, Keypair, Metagraph, RevealWeights, WeightCommit
from ranvier.neurons.state.journal import Form, Intent, IntentStatus, Journal, Slot

LOST: Final = frozenset({"ExpiredWeightCommit", "InvalidRevealCommitHashNotMatch", "NoWeightsCommitFound"})
"""Refusals after which a promise cannot be kept any more."""
_log = logging.getLogger(__name__)


def _trusting(commits: Sequence[WeightCommit]) -> None:
    """Nobody else uses the hotkey."""


class Revealer:
    """Keeps the promises of one hotkey on one subnet that a journal holds.

    A row is shown as it was promised, also where a hotkey in it was replaced meanwhile: the hash allows nothing else,
    and the chain itself masks weights on uids that were registered after the promise.
    """

    def __init__(
        self, chain: ChainClient, key: Keypair, netuid: int, journal: Journal, network: str,
        guard: Callable[[Sequence[WeightCommit]], None] = _trusting,
    ) -> None:  # fmt: skip
        """``guard`` sees what the chain holds of our hotkey's promises; what it raises ends `keep`."""
        self._guard = guard
        self._chain, self._key, self._netuid, self._journal = chain, key, netuid, journal
        self._slot = Slot(network, netuid, 0, key.ss58_address)

    async def keep(self, metagraph: Metagraph) -> int:
        """Reveal what may be revealed in the next block, and settle what was; returns how many are still open.

        Raises `ChainError`: call it again with the next block.
        """
        promises = self._journal.open_promises(self._slot)
        if not promises:
            return 0
        commits = await self._chain.commits(self._netuid, self._key.ss58_address)
        self._guard(commits)
        by_hash = {commit.hash: commit for commit in commits}
        # The oldest first: a revelation drops the promises before it.
        for intent in promises:
            if intent.promise is not None and intent.promise.hash in by_hash:
                await self._reveal(intent, by_hash[intent.promise.hash], metagraph)
            elif not (intent.form is Form.TIMED and any(commit.block >= intent.block for commit in commits)):
                await self._settle(intent, metagraph)
        return len(self._journal.open_promises(self._slot))

    async def _reveal(self, intent: Intent, commit: WeightCommit, metagraph: Metagraph) -> None:
        if intent.status is IntentStatus.INTENDED:
            self._journal.note(intent, commit.block, "promised", "found on the chain", IntentStatus.PROMISED)
        if metagraph.block + 1 < commit.first_reveal:
            return
        promise = intent.promise
        assert promise is not None
        row = promise.row
        call = RevealWeights(self._netuid, row.uids, row.values, promise.salt, promise.version_key)
        try:
            receipt = await self._chain.submit(call, self._key)
        except CallRefused as error:
            await self._refused(intent, metagraph, error)
            return
        self._journal.note(intent, receipt.block, "revealed", receipt.call_hash)
        if await self._is_stored(intent, metagraph):
            self._journal.note(intent, receipt.block, "landed", "read back", IntentStatus.LANDED)
            _log.info("weights of epoch %d revealed in block %d", intent.slot.epoch, receipt.block)

    async def _refused(self, intent: Intent, metagraph: Metagraph, error: CallRefused) -> None:
        """Also what an earlier sending, whose answer never came, has shown already is refused."""
        lost = IntentStatus.EXPIRED if error.name in LOST else None
        if lost is not None and await self._is_stored(intent, metagraph):
            detail = "an earlier sending showed it"
            self._journal.note(intent, metagraph.block, "landed", detail, IntentStatus.LANDED)
            return
        self._journal.note(intent, metagraph.block, "not revealed", f"{error.name}: {error.message}", lost)
        _log.warning("weights of epoch %d were not revealed: %s", intent.slot.epoch, error)

    async def _settle(self, intent: Intent, metagraph: Metagraph) -> None:
        """The chain holds no such promise: it was kept, it was never there, or its time has passed."""
        if intent.status is IntentStatus.INTENDED and metagraph.block <= intent.block + 2 * metagraph.tempo:
            return  # being sent, or on its way still
        if await self._is_stored(intent, metagraph):
            self._journal.note(intent, metagraph.block, "landed", "found on the chain", IntentStatus.LANDED)
            return
        if intent.form is Form.TIMED and metagraph.block <= intent.block + 2 * metagraph.tempo:
            return  # opened, and not stored yet
        detail = "the chain holds neither the promise nor its row"
        self._journal.note(intent, metagraph.block, "expired", detail, IntentStatus.EXPIRED)
        _log.warning("weights of epoch %d: %s", intent.slot.epoch, detail)

    async def _is_stored(self, intent: Intent, metagraph: Metagraph) -> bool:
        own = metagraph.by_hotkey(self._key.ss58_address)
        if own is None:
            return False
        stored = (await self._chain.weights(self._netuid)).get(own.uid, {})
        row = intent.promise.row if intent.promise is not None else intent.vector.row(metagraph)
        return row.is_stored(stored)
