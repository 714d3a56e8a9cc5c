"""A stored chain made again from its first block and its signed calls: the same blocks, the same state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ranvier.chain.errors import CallRefused, ReplayDiffers, StateUnusable
from ranvier.chain.genesis import Genesis
from ranvier.chain.models import Block
from ranvier.chain.pool import Pool, Waiting
from ranvier.chain.pulse import Pulse
from ranvier.chain.records import decode, state_hash
from ranvier.chain.runtime import next_block
from ranvier.chain.signed import SignedCall
from ranvier.chain.state import ChainState
from ranvier.chain.store import Store

PAGE = 256


@dataclass(frozen=True, slots=True)
class Replayed:
    """Blocks from `first` (not made again) to `last`, the calls in them, and the state hash that both have."""

    first: int
    last: int
    calls: int
    state_hash: str


def replay(folder: Path, progress: Callable[[int], None] = lambda _block: None) -> Replayed:
    """Make every block of a stored chain again, its signatures checked anew; `progress` hears of each page of blocks.

    Raises `ReplayDiffers` at the first block with another hash or at another state in the end, and `StateUnusable`.
    """
    if not Store.is_in(folder):
        raise StateUnusable(
            f"{folder} holds no chain to replay; name the folder of a stopped one with --state"
        )
    store = Store(folder)
    try:
        genesis = Genesis.model_validate_json(store.genesis(None))
        state = decode(store.origin(), genesis.existential_deposit)
        first, calls, pool = state.head.number, 0, Pool(genesis.hash())
        pulse = store.pulse()
        while page := store.blocks(state.head.number, PAGE):
            for block in page:
                given = [_checked(pool, signed, block) for signed in store.signed(block.number)]
                _make(state, genesis, block, given, pulse)
                calls += len(given)
            progress(state.head.number)
        made, kept = state_hash(state), state_hash(decode(store.records(), genesis.existential_deposit))
        if made != kept:
            raise ReplayDiffers(
                state.head.number, f"the state hash is {made}, that of the stored state {kept}"
            )
        return Replayed(first, state.head.number, calls, made)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise StateUnusable(f"the chain stored in {folder} is damaged ({error!r}); restore a copy") from error
    finally:
        store.close()


def _checked(pool: Pool, signed: SignedCall, block: Block) -> Waiting:
    try:
        return pool.check(signed, block.number - 1)
    except CallRefused as refusal:
        if refusal.name == "AncientBirthBlock":  # it waited too long, and a block said so
            return pool.check(signed, signed.valid_until - 1)
        raise ReplayDiffers(block.number, f"a call in it does not hold: {refusal}") from refusal


def _make(state: ChainState, genesis: Genesis, block: Block, given: Sequence[Waiting], pulse: Pulse) -> None:
    commit = next_block(state, genesis, block.timestamp, given, pulse)
    if commit.block != block:
        raise ReplayDiffers(block.number, f"it comes out as {commit.block.hash}, stored is {block.hash}")
