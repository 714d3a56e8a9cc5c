"""A network in simulated time: each block comes when all that the last one brought is done."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from ranvier.chain.embedded import EmbeddedChain
from ranvier.engines.client import EngineClient
from ranvier.neurons.context import require_engine
from ranvier.neurons.localnet.cast import Kind
from ranvier.testing.accounts import Accounts
from ranvier.testing.errors import LabError
from ranvier.testing.faults import ChainStops, Fault, Hang, Leave, Lie, Replace, Return, due
from ranvier.testing.nodes import OutsideEngine, Seat, Workshop
from ranvier.testing.report import ParticipantRow, Report
from ranvier.testing.setup import NETUID, Setup, first_name

START_BLOCKS: Final = 20
"""Blocks within which every miner must have published its address."""


class Stage:
    """The running network of one laboratory; lives on one `SimulatedLoop`."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup, self._folder = setup, folder
        self.seats = {one.name: Seat(one) for one in setup.participants()}
        self.accounts = Accounts([one for one in setup.participants() if one.code is None])
        self.chain = EmbeddedChain(setup.genesis(), folder / "chain")
        self._stack = AsyncExitStack()
        self._workshop: Workshop | None = None
        self._successors: Counter[str] = Counter()
        self._rounds = self._first = self._absent = 0
        self._started = time.thread_time()

    @property
    def workshop(self) -> Workshop:
        """Where nodes are made."""
        assert self._workshop is not None
        return self._workshop

    async def open(self) -> None:
        """Start everybody: the validators once every miner can be found."""
        self._stack.push_async_callback(self.chain.close)
        engine: EngineClient | None = None
        if self.setup.engine is not None:
            engine = await self._stack.enter_async_context(OutsideEngine(self.setup.engine))
            await require_engine(self.setup.subnet, engine)
        self._workshop = Workshop(self.setup, self._folder, self.chain, engine)
        miners = [seat for seat in self.seats.values() if seat.conduct is not None]
        for seat in miners:
            self._start(seat)
        for _ in range(START_BLOCKS):
            await self._tick()
            if all(seat.ready for seat in miners):
                break
        else:
            late = ", ".join(seat.participant.name for seat in miners if not seat.ready)
            raise LabError(f"{late} did not publish an address within {START_BLOCKS} blocks")
        for seat in self.seats.values():
            if seat.conduct is None:
                self._start(seat)
        await asyncio.sleep(0)
        self._first = self.chain.height

    async def hold(self, rounds: int) -> Report:
        """So many more rounds of every validator, then the report of all so far."""
        for _ in range(rounds):
            for fault in due(self.setup.faults, self._rounds):
                await self._befall(fault)
            self._rounds += 1
            while self.chain.height < self._first + self._rounds * self.setup.round_blocks:
                await self._tick()
        return await self.report()

    async def close(self) -> None:
        """Stop everybody, then the chain."""
        self.chain.resume()
        try:
            for seat in self.seats.values():
                await seat.kill()
        finally:
            await self._stack.aclose()

    async def report(self) -> Report:
        """The books as they stand."""
        metagraph = await self.chain.metagraph(NETUID)
        uids = {neuron.hotkey: neuron.uid for neuron in metagraph.neurons}
        return Report(
            subnet=self.setup.subnet.name,
            seed=self.setup.seed,
            rounds=self._rounds,
            blocks=metagraph.block,
            epochs=self.accounts.earnings.epochs,
            seconds=asyncio.get_running_loop().time(),
            participants=self._rows(uids),
            disagreements=self.accounts.disagreements,
            cpu=time.thread_time() - self._started,
        )

    def _rows(self, uids: dict[str, int]) -> tuple[ParticipantRow, ...]:
        rows = [self._row(seat, uids.get(seat.participant.hotkey)) for seat in self.seats.values()]
        return with_shares(rows)

    def _row(self, seat: Seat, uid: int | None) -> ParticipantRow:
        one, books = seat.participant, self.accounts
        tally, meter = books.tallies[one.hotkey], seat.conduct.meter if seat.conduct else None
        return ParticipantRow(
            *(one.name, one.kind, one.hotkey, uid, one.stake),
            pay=books.earnings.server[one.hotkey],
            dividends=books.earnings.dividends[one.hotkey],
            cpu=meter.seconds if meter else 0.0,
            answers=meter.answers if meter else 0,
            asked=tally.asked,
            answered=tally.answered,
            verified=tally.verified,
            verdicts=tally.verdicts,
            faults=tuple(seat.faults),
            rounds=tally.rounds,
            weights_landed=tally.landed,
            weights_missed=tally.missed,
        )

    async def _tick(self) -> None:
        """One block, or where the chain has stopped its absence, and all that comes of it."""
        if self._absent:
            self._absent -= 1
            await asyncio.sleep(self.setup.block_seconds)
            if not self._absent:
                self.chain.resume()
            return
        await self.chain.advance()
        await self._settle()

    async def _settle(self) -> None:
        # Simulated time passes only while everybody waits: after this sleep the block's work is done.
        await asyncio.sleep(self.setup.block_seconds)
        for seat in self.seats.values():
            seat.check()
        await self.accounts.look(self.chain)

    async def _befall(self, fault: Fault) -> None:
        if isinstance(fault, ChainStops):
            self.chain.stop()
            self._absent = fault.blocks
            return
        seat = self._who(fault)
        seat.faults.append(f"{type(fault).__name__.lower()} in round {fault.at}")
        if isinstance(fault, Replace):
            await self._replace(seat, fault)
        elif isinstance(fault, Leave):
            await seat.stop()
        else:
            self._behave(seat, fault)

    def _who(self, fault: Fault) -> Seat:
        who = str(getattr(fault, "who", ""))
        if who not in self.seats:
            raise LabError(f"{fault}: nobody is called that yet; there are {', '.join(self.seats)}")
        return self.seats[who]

    def _behave(self, seat: Seat, fault: Fault) -> None:
        conduct = seat.conduct
        if conduct is not None and isinstance(fault, Hang):
            conduct.hangs = True
        if conduct is not None and isinstance(fault, Lie):
            conduct.code = self.setup.lying_code(fault.cheat)
        if isinstance(fault, Return):
            if conduct is not None and seat.participant.code is not None:
                conduct.hangs, conduct.code = False, seat.participant.code
            if not seat.running:
                self._start(seat)

    def _start(self, seat: Seat) -> None:
        one = seat.participant
        if seat.conduct is None:
            seat.start(self.workshop.validator(one, self.accounts.hear))
        else:
            seat.start(self.workshop.miner(seat))

    async def _replace(self, seat: Seat, fault: Replace) -> None:
        metagraph = await self.chain.metagraph(NETUID)
        neuron = metagraph.by_hotkey(seat.participant.hotkey)
        if neuron is None:
            raise LabError(f"{fault}: {fault.who} has no uid any more; name who sits there now")
        root = first_name(fault.who)
        self._successors[root] += 1
        successor = Seat(self.setup.successor(root, self._successors[root]))
        successor.faults.append(f"came in round {fault.at}")
        self.seats[successor.participant.name] = successor
        owner = self.setup.coldkey.ss58_address
        await self.chain.replace(NETUID, neuron.uid, successor.participant.hotkey, owner)
        if fault.serves:
            self._start(successor)
        await self._settle()


def with_shares(rows: list[ParticipantRow]) -> tuple[ParticipantRow, ...]:
    """The rows with their pay over that of the least-paid honest miner whom no fault befell."""
    honest = [row.pay for row in rows if row.kind is Kind.HONEST and not row.faults]
    least = min(honest, default=0)
    if not least:
        return tuple(rows)
    return tuple(row if row.kind.validates else replace(row, share=row.pay / least) for row in rows)
