"""Nobody else may set weights with our hotkey: what the chain shows must be ours, and stay ours while we watch."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

from ranvier.chain import ChainClient, Metagraph, WeightCommit
from ranvier.neurons.errors import Doppelganger
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Journal, Slot
from ranvier.neurons.weights import SUBMIT_SECONDS

MOST_OBSERVED: Final = 360
"""Blocks that are watched at most where the setting leaves it to us."""
_BASELINE: Final = "foreign update"
_log = logging.getLogger(__name__)


def blocks_to_observe(setting: int, tempo: int, *, on_this_machine: bool) -> int:
    """Blocks before the first weights: the setting, or where it is -1 one tempo (none on a chain of this machine)."""
    if setting >= 0:
        return setting
    return 0 if on_this_machine else min(tempo, MOST_OBSERVED)


class DoppelgangerWatch:
    """Compares LastUpdate on the chain with the journal of one hotkey on one subnet.

    It does not see a process elsewhere that has set no weights since this one started, and one whose weights fall into
    the blocks in which a vector of ours of unknown fate may have landed: see docs/duties.md.
    """

    def __init__(
        self, database: Database, network: str, netuid: int, hotkey: str, *, observe: int, takeover: bool
    ) -> None:
        """``observe`` is in blocks; with ``takeover`` whatever the chain shows at the start is accepted."""
        self._database, self._journal = database, Journal(database)
        self._slot = Slot(network, netuid, 0, hotkey)
        self._observe, self._takeover = observe, takeover
        self._started = 0
        self._slack = 0

    async def start(self, chain: ChainClient, metagraph: Metagraph) -> None:
        """Begin to watch. Raises `Doppelganger` where somebody set weights lately, and we did not."""
        self._started = metagraph.block
        self._slack = math.ceil(SUBMIT_SECONDS / await chain.block_time()) + 2
        self._journal.doubt(self._slot, metagraph.block)
        update = self._foreign(metagraph)
        if update is None:
            return
        age = metagraph.block - update
        recent = age <= 2 * metagraph.tempo + self._observe
        if recent and not self._takeover:
            raise Doppelganger(
                self._slot.hotkey, self._slot.netuid, update, f"{age} blocks before this start"
            )
        self._database.remember(_BASELINE, str(update))
        _log.warning(
            "%s set weights at block %d and this journal knows nothing of it; taken over after %d blocks of silence",
            *(self._slot.hotkey, update, self._observe),
        )

    def watching(self, block: int) -> bool:
        """Whether weights have to wait still."""
        return block < self._started + self._observe

    def check(self, metagraph: Metagraph) -> None:
        """Raises `Doppelganger` where the newest update is not ours."""
        update = self._foreign(metagraph)
        if update is not None:
            since = f"and this validator, started at block {self._started}, did not"
            raise Doppelganger(self._slot.hotkey, self._slot.netuid, update, since)

    def check_promises(self, commits: Sequence[WeightCommit]) -> None:
        """Raises `Doppelganger` where the chain holds a hash that the journal does not know.

        It tells two processes apart that speak in the same block, for whom LastUpdate is the same.
        """
        known, accepted = self._journal.hashes(self._slot), int(self._database.fact(_BASELINE) or 0)
        for commit in commits:
            if commit.hash and commit.hash not in known and commit.block > accepted:
                since = "with a promise that this validator did not make"
                raise Doppelganger(self._slot.hotkey, self._slot.netuid, commit.block, since)

    def _foreign(self, metagraph: Metagraph) -> int | None:
        """The block of an update that is not ours."""
        own = metagraph.by_hotkey(self._slot.hotkey)
        accepted = int(self._database.fact(_BASELINE) or 0)
        if own is None or own.last_update <= max(own.registered_at, accepted):
            return None
        window = metagraph.tempo + self._slack
        ours = self._journal.explanation(self._slot, own.last_update, window)
        return None if ours is not None else own.last_update
