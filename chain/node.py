"""A running chain: state, store, pool and whoever waits for the next block, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ranvier.chain.api import PulseInfo
from ranvier.chain.birth import first_state
from ranvier.chain.checkpoint import Checkpoint
from ranvier.chain.clock import WallClock, stamp
from ranvier.chain.errors import BadGenesis, ChainError, StateUnusable
from ranvier.chain.genesis import Genesis
from ranvier.chain.handlers.locked import next_round
from ranvier.chain.models import Block
from ranvier.chain.pool import Pool
from ranvier.chain.pulse import Lock
from ranvier.chain.records import decode, encode, names, state_hash
from ranvier.chain.rules import rules_of
from ranvier.chain.runtime import next_block
from ranvier.chain.signed import SignedCall
from ranvier.chain.state import ChainState
from ranvier.chain.store import Commit, Outcome, Store

T = TypeVar("T")


class ChainNode:
    """Makes blocks one after the other and lets readers in between them.

    All work on the state and the file happens on one worker thread, so an epoch never holds up the event
    loop, and readers see committed blocks only. After a failed commit the node is dead (`failure`): memory is
    then ahead of the disk.
    """

    def __init__(self, store: Store, genesis: Genesis, state: ChainState) -> None:
        self.genesis = genesis
        self.genesis_hash = genesis.hash()
        self.failure: ChainError | None = None
        self.head = state.head
        self._state = state
        self._store = store
        self._pulse = store.pulse()
        self._pool = Pool(self.genesis_hash)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="chain")
        self._making = asyncio.Lock()
        self._tick = asyncio.Event()

    @classmethod
    def open(cls, folder: Path, genesis: Genesis | None) -> ChainNode:
        """Continue the chain in `folder`, or start it from `genesis` where the folder holds none.

        Raises `BadGenesis` where both are missing, `WrongChain` where the stored genesis is another, and
        `StateUnusable` for a damaged, newer or occupied state.
        """
        if genesis is None and not Store.is_in(folder):
            raise _nothing_in(folder)
        store = Store(folder)
        try:
            if store.is_empty():
                state, genesis = _begin(store, genesis)
            else:
                genesis = _read_genesis(store, genesis)
                state = _read_state(store, genesis)
        except BaseException:
            store.close()
            raise
        return cls(store, genesis, state)

    def close(self) -> None:
        """Finish the work in hand and close the file."""
        self._worker.shutdown(wait=True)
        self._store.close()

    async def read(self, view: Callable[[ChainState], T]) -> T:
        """What `view` makes of the state at the newest committed block."""
        async with self._making:
            self._check_alive()
            return view(self._state)

    async def history(self, query: Callable[[Store], T]) -> T:
        """What `query` finds in the store."""
        async with self._making:
            self._check_alive()
            return await self._work(lambda: query(self._store))

    async def lock(self, netuid: int) -> Lock:
        """What a row promised in the next block is sealed to. Raises `NotFound`."""
        rules = rules_of(self.genesis.era)
        round = await self.read(lambda state: next_round(state, rules, netuid))
        return Lock(round, self._pulse.public(round))

    def pulse(self, block: int) -> PulseInfo:
        """A block's keys; the private one only where that block was made."""
        private = self._pulse.private(block) if block <= self.head.number else None
        return PulseInfo(round=block, public_key=self._pulse.public(block), private_key=private)

    async def hash_state(self) -> str:
        """The state hash of the newest block."""
        async with self._making:
            self._check_alive()
            return await self._work(lambda: state_hash(self._state))

    async def checkpoint(self) -> Checkpoint:
        """The whole state of the newest block."""
        async with self._making:
            self._check_alive()
            return await self._work(lambda: Checkpoint.of(self._state, self.genesis, self._pulse))

    async def receive(self, signed: SignedCall) -> str:
        """Let a signed call into the pool; returns its hash. Raises `CallRefused`.

        A call that a block settled already is not carried out again: its hash leads to the same outcome.
        """
        waiting = self._pool.check(signed, self.head.number)
        async with self._making:
            self._check_alive()
            if await self._work(lambda: self._store.outcome(waiting.hash)) is None:
                self._pool.add(waiting)
        return waiting.hash

    async def outcome(self, call_hash: str, patience: float) -> Outcome | None:
        """What became of a call, waiting up to `patience` seconds while it waits; None: unknown, or not settled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.is_waiting(call_hash):
                    await self.next_tick()
        return await self.history(lambda store: store.outcome(call_hash))

    def is_waiting(self, call_hash: str) -> bool:
        """Whether a call is in the pool."""
        return call_hash in self._pool

    async def blocks(self, after: int, patience: float, limit: int = 256) -> tuple[Block, ...]:
        """Blocks after a number, waiting up to `patience` seconds for the first one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.head.number <= after:
                    await self.next_tick()
        if self.head.number <= after:
            return ()
        return await self.history(lambda store: store.blocks(after, limit))

    async def next_tick(self) -> None:
        """Return when the next block is committed. Raises what stopped the node."""
        self._check_alive()
        await self._tick.wait()
        self._check_alive()

    async def make_block(self) -> Block:
        """Make, commit and announce the next block."""
        async with self._making:
            self._check_alive()
            job = asyncio.ensure_future(self._work(self._advance))
            try:
                await asyncio.shield(job)
            except asyncio.CancelledError:
                # The worker goes on changing the state: keep readers out until it is done.
                await asyncio.wait({job})
                if (broken := job.exception()) is not None:
                    self.failure = _death(broken)
                raise
            except Exception as error:
                self.failure = _death(error)
                raise self.failure from error
            finally:
                if self.failure is None:
                    self.head = self._state.head
                self._tick.set()
                self._tick = asyncio.Event()
        return self.head

    async def run(self) -> None:
        """Make blocks by the wall clock until cancelled; under the manual clock wait for a failure only."""
        clock = WallClock(self.genesis.block_time)
        while self.genesis.clock == "manual":
            await self.next_tick()
        while True:
            await clock.wait()
            await self.make_block()

    def _advance(self) -> None:
        calls = self._pool.first()
        time = stamp(self._state.head.timestamp, self.genesis.block_time, self.genesis.clock)
        commit = next_block(self._state, self.genesis, time, calls, self._pulse)
        self._store.commit(commit, forget_before=commit.block.number - self.genesis.history)
        self._pool.remove(calls)

    def _check_alive(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def _work(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, job)


def _death(error: BaseException) -> ChainError:
    if isinstance(error, ChainError):
        return error
    return StateUnusable(f"making a block failed: {error!r}; restart the chain, report this if it returns")


def _begin(store: Store, genesis: Genesis | None) -> tuple[ChainState, Genesis]:
    if genesis is None:
        raise _nothing_in(store.folder)
    state = first_state(genesis)
    state.take_changed()
    commit = Commit(state.head, encode(state, names(state)))
    store.begin(genesis.model_dump_json(), genesis.hash(), commit)
    return state, genesis


def _nothing_in(folder: Path) -> BadGenesis:
    return BadGenesis(f"{folder} holds no chain yet; name a genesis file or a preset to start one")


def _read_genesis(store: Store, expected: Genesis | None) -> Genesis:
    text = store.genesis(expected.hash() if expected else None)
    try:
        return Genesis.model_validate_json(text)
    except ValueError as error:
        raise StateUnusable(
            f"the genesis stored in {store.folder} is damaged ({error}); restore it"
        ) from error


def _read_state(store: Store, genesis: Genesis) -> ChainState:
    try:
        state = decode(store.records(), genesis.existential_deposit)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise StateUnusable(
            f"the state stored in {store.folder} is damaged ({error!r}); restore a copy or start afresh"
        ) from error
    if state.ledger.total() != state.ledger.issuance:
        raise StateUnusable(
            f"the ledger stored in {store.folder} holds {state.ledger.total()} rao, not the issuance "
            f"{state.ledger.issuance}; restore a copy or start afresh"
        )
    return state
