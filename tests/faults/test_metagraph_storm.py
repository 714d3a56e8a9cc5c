"""A metagraph storm: the subnet grows, shrinks and changes hands, also in mid-round and while weights are on their way.

Real rounds over real signatures, the real score keeper, journal and weight setter, on a chain in this process. What
must hold after every step: no score, no remembered fact, no weight and no pay belongs to a registration that did not
earn it. A registration is a hotkey on a uid from one block on; coming back makes another one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from bittensor_core import Keypair
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ranvier.chain import (
    RAO,
    Call,
    CallRefused,
    ChainTimeout,
    GenesisNeuron,
    GenesisSubnet,
    Metagraph,
    Neuron,
    Receipt,
    Register,
    Serve,
    local_genesis,
    local_hyperparameters,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.neurons.errors import BadWeights
from ranvier.neurons.keeper import ScoreKeeper
from ranvier.neurons.rounds import Place, Rounds
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Journal
from ranvier.neurons.weights import WeightSetter
from ranvier.protocol import AddressPolicy, Axon, Caller, Dendrite, Door, Refusal, Reply, Synapse
from ranvier.protocol.codes import Code
from ranvier.subnets import Answer, Context, EpochSecret, Miner, Round, Subnet, SubnetSettings, Task, Verdict
from ranvier.testing.loop import SimulatedLoop

NETUID, TEMPO, MOST, BLOCK = 1, 4, 8, 12.0
FAST_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Nothing is proved here about a disk that loses power: thousands of syncs would only take minutes."""
HOTKEYS = 14
"""Few enough that hotkeys come back."""
SETTINGS = SubnetSettings(trial_rounds=0)
Registration = tuple[str, int, int]
"""Hotkey, uid, and the block it was registered in."""


class LossyChain(EmbeddedChain):
    """May lose a call, and then the subnet changes before the sender knows."""

    meanwhile: Coroutine[Any, Any, None] | None = None

    async def submit(self, call: Call, signer: Any, *, deadline: float = 30.0) -> Receipt:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile
            raise ChainTimeout(call.call, deadline)
        return await super().submit(call, signer, deadline=deadline)


class Add(Synapse):
    left: int
    right: int

    class Reply(Reply):
        total: int


class Unused(Miner[Add]):
    async def answer(self, request: Add, caller: Caller) -> Any:
        raise NotImplementedError


class Adding(Subnet[Add]):
    name = "adding"
    synapse = Add
    miner = Unused
    Settings = SubnetSettings

    def tasks(self, round: Round) -> Iterable[Task[Add]]:
        for peer in round.peers:
            dice = round.random(peer.hotkey)
            left, right = dice.randrange(1, 1000), dice.randrange(1, 1000)
            yield Task(peer, Add(left=left, right=right), left + right)

    async def score(self, round: Round, answers: Sequence[Answer[Add]]) -> Sequence[Verdict]:
        memory, found = self.context.memory, []
        assert memory is not None
        for answer in answers:
            hotkey = answer.task.peer.hotkey
            memory.put(hotkey, "seen", (memory.get(hotkey, "seen") or 0) + 1)
            right = answer.reply.total == answer.task.reference
            found.append(Verdict(float(right), "right" if right else "wrong"))
        return found


@dataclass
class World:
    """The validator under test, the hotkeys, and what really happened."""

    folder: Path
    chain: LossyChain
    database: Database
    keeper: ScoreKeeper
    dendrite: Dendrite
    axons: dict[str, Axon] = field(default_factory=dict)
    answered: dict[Registration, int] = field(default_factory=dict)
    """Answers while the registration held, right or wrong."""
    earned: set[Registration] = field(default_factory=set)
    """Registrations that gave a right answer."""
    mid: list[Coroutine[Any, Any, None]] = field(default_factory=list)
    """What happens while the next answer is on its way."""
    now: Metagraph | None = None
    paid_until: int = 0
    seats: dict[int, dict[int, Registration]] = field(default_factory=dict)
    """Who sat where at each block."""


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//storm//{name}")


KEYS = {f"m{number}": key(f"m{number}") for number in range(HOTKEYS)}
NAMES = {one.ss58_address: name for name, one in KEYS.items()}
OWNER, VALIDATOR = key("owner"), key("validator")


def sits(neuron: Neuron) -> Registration:
    return neuron.hotkey, neuron.uid, neuron.registered_at


class Storm(RuleBasedStateMachine):
    did: ClassVar[Counter[str]] = Counter()
    """What really happened, so that a storm in which nothing happens cannot pass."""

    @initialize()
    def begin(self) -> None:
        self.home = tempfile.TemporaryDirectory(prefix="ranvier-storm-", dir=FAST_DISK)
        self.runner = asyncio.Runner(loop_factory=SimulatedLoop)
        self.world = self.runner.run(self._begin(Path(self.home.name)))

    async def _begin(self, folder: Path) -> World:
        seated = [VALIDATOR, KEYS["m0"], KEYS["m1"], KEYS["m2"]]
        neurons = [
            GenesisNeuron(
                hotkey=one.ss58_address, coldkey=OWNER.ss58_address, stake=1000 * RAO * (not number)
            )
            for number, one in enumerate(seated)
        ]
        rules = local_hyperparameters(
            TEMPO,
            max_allowed_uids=MOST,
            immunity_period=0,
            weights_rate_limit=0,
            target_regs_per_interval=1000,
            max_regs_per_block=1000,
            max_burn=1000,
        )
        subnet = GenesisSubnet(name="adding", hyperparameters=rules, neurons=tuple(neurons))
        chain = LossyChain(
            local_genesis(
                [subnet], block_time=BLOCK, clock="manual", balances={OWNER.ss58_address: 10_000 * RAO}
            ),
            folder / "chain",
        )
        dendrite = await Dendrite(VALIDATOR, addresses=AddressPolicy.local()).__aenter__()
        database = Database(folder / "state.sqlite")
        world = World(folder, chain, database, ScoreKeeper(database, SETTINGS), dendrite)
        self.world = world
        for name in ("m0", "m1", "m2"):
            await self._serve(name)
        await self._look()
        return world

    # What happens to the subnet ------------------------------------------------------------------------------

    @rule(name=st.sampled_from(sorted(KEYS)))
    def register(self, name: str) -> None:
        """The chain chooses who gives way, where the subnet is full."""
        self._do(self._register(name))

    @rule(name=st.sampled_from(sorted(KEYS)), uid=st.integers(1, MOST - 1))
    def replace(self, name: str, uid: int) -> None:
        self._do(self._replace(name, uid))

    @rule(neurons=st.integers(2, MOST - 1))
    def shrink(self, neurons: int) -> None:
        self._do(self._shrink(neurons))

    @rule(blocks=st.integers(1, TEMPO + 2))
    def time_passes(self, blocks: int) -> None:
        async def pass_() -> None:
            for _ in range(blocks):
                await self._advance()

        self._do(pass_())

    # What the validator does ---------------------------------------------------------------------------------

    @rule()
    def hold_a_round(self) -> None:
        self._do(self._round())

    @rule(name=st.sampled_from(sorted(KEYS)), uid=st.integers(1, MOST - 1))
    def a_hotkey_is_replaced_in_mid_round(self, name: str, uid: int) -> None:
        self.world.mid.append(self._replace(name, uid))
        self._do(self._round())

    @rule(
        name=st.sampled_from(sorted(KEYS)), other=st.sampled_from(sorted(KEYS)), uid=st.integers(1, MOST - 1)
    )
    def a_hotkey_leaves_and_comes_back_in_mid_round(self, name: str, other: str, uid: int) -> None:
        async def twice() -> None:
            await self._replace(name, uid)
            await self._replace(other, uid)

        self.world.mid.append(twice())
        self._do(self._round())

    @rule(neurons=st.integers(2, MOST - 1))
    def it_shrinks_in_mid_round(self, neurons: int) -> None:
        self.world.mid.append(self._shrink(neurons))
        self._do(self._round())

    @precondition(lambda self: scored(self.world))
    @rule(name=st.sampled_from(sorted(KEYS)), uid=st.integers(1, MOST - 1), storm=st.booleans())
    def set_weights(self, name: str, uid: int, storm: bool) -> None:
        """With ``storm`` a uid changes hands in the very block that is to hold the weights."""
        self._do(self._weights(self._replace(name, uid) if storm else None))

    @precondition(lambda self: scored(self.world))
    @rule(index=st.integers(0, MOST), uid=st.integers(1, MOST - 1))
    def weights_are_lost_and_a_scored_hotkey_moves_meanwhile(self, index: int, uid: int) -> None:
        self.world.chain.meanwhile = self._move(index, uid)
        self._do(self._weights(None))

    @precondition(lambda self: scored(self.world))
    @rule(index=st.integers(0, MOST), uid=st.integers(1, MOST - 1))
    def a_scored_hotkey_moves(self, index: int, uid: int) -> None:
        """Between its score and the weights it loses its uid and takes another."""
        self._do(self._move(index, uid))

    @rule()
    def restart(self) -> None:
        """The process ends and another one reads the state."""
        world = self.world
        world.database.close()
        world.database = Database(world.folder / "state.sqlite")
        world.keeper = ScoreKeeper(world.database, SETTINGS)

    # What must hold ------------------------------------------------------------------------------------------

    @invariant()
    def only_what_was_earned(self) -> None:
        if not hasattr(self, "world"):
            return
        self.did["steps"] += 1
        self.runner.run(self._check())

    async def _check(self) -> None:
        world = self.world
        for hotkey, place in world.keeper.places.items():
            line = world.keeper.entry(hotkey)
            assert line.average == 0 or (hotkey, *place) in world.earned, f"score: {NAMES[hotkey]} {place}"
        # Whoever is asked next may be remembered only for what it did on this registration.
        metagraph = await world.chain.metagraph(NETUID)
        for neuron in metagraph.neurons[1:]:
            if world.keeper.places.get(neuron.hotkey, sits(neuron)[1:]) != sits(neuron)[1:]:
                continue  # forgotten before the next round begins
            seen = world.keeper.memory.get(neuron.hotkey, "seen") or 0
            assert seen <= world.answered.get(sits(neuron), 0), f"memory: {NAMES[neuron.hotkey]} {seen}"
        own = metagraph.neurons[0]
        for uid, weight in (await world.chain.weights(NETUID)).get(0, {}).items():
            there = metagraph.neurons[uid]
            # The chain itself masks weights on whoever registered in or after the block that took them.
            late = there.registered_at >= own.last_update
            assert not weight or late or sits(there) in world.earned, f"weight: {NAMES[there.hotkey]}"
        for epoch in await world.chain.epochs(NETUID, world.paid_until):
            world.paid_until = epoch.block
            for row in epoch.rows:
                # A block's epoch runs before its calls: whoever they seat was not there yet.
                places = (world.seats[epoch.block - back].get(row.uid) for back in (0, 1))
                seat = next(place for place in places if place and place[0] == row.hotkey)
                self.did["paid"] += bool(row.incentive)
                assert not row.incentive or seat in world.earned, f"pay: {NAMES[row.hotkey]}"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.runner.run(self._end())
            self.runner.close()
            self.home.cleanup()

    async def _end(self) -> None:
        world = self.world
        for name in list(world.axons):
            await world.axons.pop(name).stop(0.0)
        for left in world.mid:
            left.close()
        await world.dendrite.__aexit__(None, None, None)
        world.database.close()
        await world.chain.close()

    # The machinery -------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    async def _advance(self) -> None:
        await self.world.chain.advance()
        await self._look()

    async def _look(self) -> None:
        """Note who sits where after a block."""
        metagraph = await self.world.chain.metagraph(NETUID)
        self.world.seats[metagraph.block] = {neuron.uid: sits(neuron) for neuron in metagraph.neurons}

    async def _seat(self, name: str) -> Neuron | None:
        return (await self.world.chain.metagraph(NETUID)).by_hotkey(KEYS[name].ss58_address)

    async def _register(self, name: str) -> None:
        metagraph = await self.world.chain.metagraph(NETUID)
        # The chain's choice must not be the validator: it falls on it where all others are newer than the last epoch.
        fresh = sum(neuron.registered_at > metagraph.last_step for neuron in metagraph.neurons)
        if await self._seat(name) is not None or fresh >= 3:
            return
        try:
            await self.world.chain.carry_out(Register(NETUID, KEYS[name].ss58_address), OWNER)
        except CallRefused as refusal:
            assert refusal.name.startswith("TooManyRegistrations")
        self.did["registered"] += 1
        await self._look()
        await self._serve(name)

    async def _replace(self, name: str, uid: int) -> None:
        metagraph = await self.world.chain.metagraph(NETUID)
        if uid >= len(metagraph.neurons) or await self._seat(name) is not None:
            return
        self.did["replaced"] += 1
        await self.world.chain.replace(NETUID, uid, KEYS[name].ss58_address, OWNER.ss58_address)
        await self._look()
        await self._serve(name)

    async def _shrink(self, neurons: int) -> None:
        if neurons < len((await self.world.chain.metagraph(NETUID)).neurons):
            self.did["shrunk"] += 1
            await self.world.chain.trim(NETUID, neurons)
            await self._look()

    async def _serve(self, name: str) -> None:
        """Listen, and publish it; whoever has no uid any more goes on listening."""
        neuron = await self._seat(name)
        if neuron is None:
            return
        if name not in self.world.axons:
            axon = Axon(KEYS[name], door=Door.open()).serve(Add, self._answering(name))
            await axon.start()
            self.world.axons[name] = axon
        serve = Serve(NETUID, "127.0.0.1", self.world.axons[name].port, 1)
        await self.world.chain.carry_out(serve, KEYS[name])
        await self._look()

    def _answering(self, name: str) -> Any:
        number = int(name[1:])

        async def answer(request: Add, caller: Caller) -> Add.Reply:
            """Every third hotkey never earns: it lies, or it refuses."""
            if self.world.mid:
                await self.world.mid.pop()
            if number % 6 == 5:
                raise Refusal(Code.DECLINED, "not today")
            return Add.Reply(total=0 if number % 6 == 2 else request.left + request.right)

        return answer

    async def _round(self) -> None:
        world = self.world
        before = await world.chain.metagraph(NETUID)
        world.keeper.prune(before)
        world.now = before
        subnet = Adding(Context(NETUID, VALIDATOR.ss58_address, SETTINGS, memory=world.keeper.memory))

        def newest() -> Metagraph:
            assert world.now is not None
            return world.now

        rounds = Rounds(subnet, world.dendrite, world.keeper, world.chain, newest)
        follow = asyncio.create_task(self._follow())
        await asyncio.sleep(0)
        # Drawn by nobody, so that a failure can be repeated: it decides the sums and the audits.
        secret = EpochSecret(before.last_step, b"s" * 32)
        place = Place(NETUID, VALIDATOR.ss58_address, await world.chain.block(), before.last_step)
        # What an honest book would say, before the keeper says it: right answers of those who sit there still.
        self._expect(before)
        if await rounds.hold(place, secret) is not None:
            after = await world.chain.metagraph(NETUID)
            self.did["changed in mid-round"] += {*map(sits, before.neurons)} != {*map(sits, after.neurons)}
            self.did["rounds"] += 1
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
        for left in world.mid:
            left.close()
        world.mid.clear()

    def _expect(self, before: Metagraph) -> None:
        for neuron in before.neurons[1:]:
            if neuron.axon is None:
                continue
            number = int(NAMES[neuron.hotkey][1:])
            if number % 6 != 5:
                self.world.answered[sits(neuron)] = self.world.answered.get(sits(neuron), 0) + 1
            if number % 6 not in (2, 5):
                self.world.earned.add(sits(neuron))

    async def _follow(self) -> None:
        async for block in self.world.chain.blocks((await self.world.chain.block()).number):
            if block.number % 2 == 0:  # a follower may lag behind
                self.world.now = await self.world.chain.metagraph(NETUID)

    async def _move(self, index: int, uid: int) -> None:
        hotkeys = scored(self.world)
        name = NAMES[hotkeys[index % len(hotkeys)]]
        seat = await self._seat(name)
        free = [one for one in KEYS if await self._seat(one) is None]
        if seat is not None and seat.uid != uid:
            await self._replace(free[0], seat.uid)
            await self._replace(name, uid)
            self.did["moved"] += await self._seat(name) is not None

    async def _weights(self, storm: Coroutine[Any, Any, None] | None) -> None:
        world = self.world
        averages = {hotkey: average for hotkey, average in world.keeper.averages.items() if average > 0}
        setter = WeightSetter(world.chain, VALIDATOR, NETUID, Journal(world.database), network="storm")
        setting = asyncio.create_task(setter.set(averages, places=world.keeper.places))
        await asyncio.sleep(BLOCK / 2)
        if storm is not None:
            await storm
        while not setting.done():
            await self._advance()
            await asyncio.sleep(BLOCK)
        await asyncio.gather(setting, return_exceptions=True)
        if world.chain.meanwhile is not None:
            world.chain.meanwhile.close()
            world.chain.meanwhile = None
        error = setting.exception()
        self.did["weights landed"] += error is None and setting.result().landed
        if error is not None and not isinstance(error, BadWeights):
            raise error


def scored(world: World) -> list[str]:
    """Hotkeys with a score above zero, in the order of their addresses."""
    return sorted(hotkey for hotkey, average in world.keeper.averages.items() if average > 0)


FAST = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class LongStorm(Storm):
    """Its own class, so that it has its own settings and its own count."""

    did: ClassVar[Counter[str]] = Counter()


TestStorm = Storm.TestCase
TestStorm.settings = FAST


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_storm_has_two_thousand_steps_in_which_everything_happens() -> None:
    run_state_machine_as_test(LongStorm, settings=settings(FAST, max_examples=100, stateful_step_count=60))
    did = LongStorm.did
    assert did["steps"] >= 2000
    everything = (
        "registered",
        "replaced",
        "shrunk",
        "rounds",
        "changed in mid-round",
        "weights landed",
        "paid",
        "moved",
    )
    assert min(did[one] for one in everything) >= 10, did
