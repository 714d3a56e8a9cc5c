"""A tournament: honest miners and cheats over real sockets, scored as a validator scores, without a chain.

For subnet authors and tests. Everything but the chain is real: axons, signatures, audits, the score book.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from ranvier.engines.client import EngineClient
from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Keypair,
    Target,
    keypair_from_uri,
    whole,
)
from ranvier.subnets.audit import draw_audits
from ranvier.subnets.book import Result, ScoreBook
from ranvier.subnets.judge import judge
from ranvier.subnets.subnet import Answer, Context, Miner, Peer, Round, Subnet, SubnetSettings

BOUNDS: Final[Mapping[str, float]] = {"relay": 1 / 50, "free": 1 / 50, "cheaper": 1 / 5}
"""What a cheat of each kind may earn at most, as a share of the least-paid honest miner."""


@dataclass(frozen=True, slots=True)
class Player:
    """One miner. ``bound`` is the share of an honest miner's pay that it may have; None for the honest."""

    name: str
    miner: type[Miner[Any]]
    bound: float | None = None
    model: str | None = None
    delay: float = 0.0


def field_of(subnet: type[Subnet[Any]]) -> tuple[Player, ...]:
    """Two honest miners and every cheat that the subnet ships."""
    honest = (Player("honest-1", subnet.miner), Player("honest-2", subnet.miner))
    cheats = (
        Player(name, cheat.miner, BOUNDS[cheat.kind], cheat.model) for name, cheat in subnet.cheats.items()
    )
    return (*honest, *cheats)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What came of it. ``pay`` sums to 1 over the players (all 0 where nobody earned)."""

    players: tuple[Player, ...]
    pay: Mapping[str, float]
    averages: Mapping[str, float]
    reasons: Mapping[str, Sequence[str]]

    def violations(self) -> list[str]:
        """What speaks against the subnet: an unpaid honest miner, or a cheat above its bound."""
        least = min(self.pay[player.name] for player in self.players if player.bound is None)
        if least <= 0:
            return [f"an honest miner earned nothing: {self.reasons}"]
        return [
            f"{player.name} earned {self.pay[player.name] / least:.3f} of an honest miner's pay, more than "
            f"{player.bound:.3f}"
            for player in self.players
            if player.bound is not None and self.pay[player.name] > player.bound * least
        ]


class DictMemory:
    """A subnet's memory for the length of one tournament."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], Any] = {}

    def get(self, hotkey: str, key: str) -> Any:
        """The stored value; None if there is none."""
        return self._values.get((hotkey, key))

    def put(self, hotkey: str, key: str, value: Any) -> None:
        """Keep a JSON value."""
        self._values[hotkey, key] = value


@dataclass(slots=True)
class _Seat:
    """A player with its key and address."""

    player: Player
    key: Keypair
    axon: Axon
    peer: Peer
    reasons: list[str] = field(default_factory=list)


class Tournament:
    """One subnet, its players and one validator. ``engine`` serves all of them; ``seed`` fixes the keys and tasks."""

    def __init__(
        self,
        subnet: type[Subnet[Any]],
        players: Sequence[Player] | None = None,
        *,
        settings: SubnetSettings | None = None,
        engine: EngineClient | None = None,
        seed: int = 0,
    ) -> None:
        self.players = tuple(players if players is not None else field_of(subnet))
        self._subnet, self._engine, self._seed = subnet, engine, seed
        self._settings = settings or subnet.Settings()
        self._seats: list[_Seat] = []

    async def hold(self, rounds: int) -> Ranking:
        """Play so many rounds and close every socket."""
        validator = self._key("validator")
        async with AsyncExitStack() as stack:
            for uid, player in enumerate(self.players):
                await self._seat(stack, uid, player)
            dendrite = await stack.enter_async_context(Dendrite(validator, addresses=AddressPolicy.local()))
            context = self._context(validator, dendrite)
            subnet, book = self._subnet(context), ScoreBook(self._settings)
            for number in range(rounds):
                await self._round(subnet, dendrite, book, self._round_of(number, validator.ss58_address))
        return self._outcome(subnet, book)

    def _key(self, name: str) -> Keypair:
        return keypair_from_uri(f"//tournament//{self._seed}//{name}")

    def _context(self, key: Keypair, dendrite: Dendrite, model: str | None = None) -> Context:
        own = key.ss58_address
        return Context(
            netuid=1,
            hotkey=own,
            settings=self._settings,
            engine=self._engine,
            memory=DictMemory(),
            dendrite=dendrite,
            peers=lambda: [seat.peer for seat in self._seats if seat.peer.hotkey != own],
            model=model,
        )

    async def _seat(self, stack: AsyncExitStack, uid: int, player: Player) -> None:
        key = self._key(player.name)
        dendrite = await stack.enter_async_context(Dendrite(key, addresses=AddressPolicy.local()))
        miner = player.miner(self._context(key, dendrite, player.model))

        reply = whole(miner.answer)

        async def answer(request: Any, caller: Caller) -> BaseModel:
            await asyncio.sleep(player.delay)
            return await reply(request, caller)

        axon = Axon(key, door=Door.open()).serve(self._subnet.synapse, answer)
        await axon.start()
        stack.push_async_callback(axon.stop, 0.0)
        target = Target(key.ss58_address, "127.0.0.1", axon.port)
        self._seats.append(_Seat(player, key, axon, Peer(uid, key.ss58_address, target)))

    def _round_of(self, number: int, validator: str) -> Round:
        secret = hashlib.sha256(b"tournament %d" % self._seed).digest()
        block_hash = hashlib.sha256(b"block %d" % number).hexdigest()
        peers = tuple(seat.peer for seat in self._seats)
        return Round(number, 1, number, block_hash, validator, peers, secret=secret)

    async def _round(self, subnet: Subnet[Any], dendrite: Dendrite, book: ScoreBook, round: Round) -> None:
        tasks = list(subnet.tasks(round))
        asked = [(task.peer.target, task.request) for task in tasks]
        outcomes = await dendrite.ask_all(asked, deadline=self._settings.deadline)
        answers = [
            Answer(task, outcome)
            for task, outcome in zip(tasks, outcomes, strict=True)
            if isinstance(outcome, Answered)
        ]
        records = {hotkey: entry.record for hotkey, entry in book.entries.items()}
        audited = draw_audits(round, answers, self._settings.audit_rate, records)
        verdicts = dict(
            zip((id(one.task) for one in audited), await judge(subnet, round, audited), strict=True)
        )
        results = [
            Result(task.peer.hotkey, outcome, verdicts.get(id(task)))
            for task, outcome in zip(tasks, outcomes, strict=True)
        ]
        book.record(results)
        self._note(results)

    def _note(self, results: Sequence[Result]) -> None:
        for seat in self._seats:
            seat.reasons += [
                result.verdict.reason if result.verdict else repr(result.outcome)[:200]
                for result in results
                if result.hotkey == seat.peer.hotkey
            ]

    def _outcome(self, subnet: Subnet[Any], book: ScoreBook) -> Ranking:
        weights = subnet.weights(book.averages)
        total = sum(weights.values()) or 1.0
        return Ranking(
            self.players,
            {seat.player.name: weights.get(seat.peer.hotkey, 0.0) / total for seat in self._seats},
            {seat.player.name: book[seat.peer.hotkey].average for seat in self._seats},
            {seat.player.name: tuple(seat.reasons) for seat in self._seats},
        )
