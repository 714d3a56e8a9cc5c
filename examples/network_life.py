"""The life of a network from nothing, in one process and under a minute: python examples/network_life.py

A launch in which nothing was mined before; work, root, a subnet, stakers, replacements, a vote; and at the end the
books of everybody who took part. docs/story.md tells it. Days are short here: one of the article's is twenty blocks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ranvier.chain import (
    RAO,
    AddStake,
    BecomeDelegate,
    Call,
    CallRefused,
    CloseMotion,
    CreateSubnet,
    EpochRow,
    Genesis,
    GenesisSubnet,
    Hyperparameters,
    Keypair,
    Propose,
    Register,
    RegisterWork,
    RemoveStake,
    RootRegister,
    SetHyperparameter,
    SetRootWeights,
    SetWeights,
    Transfer,
    Vote,
    preset_genesis,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.explorer import Account
from ranvier.chain.presets import article_network
from ranvier.chain.work import challenge, search

DAY = 20
EASY = 64
SETTINGS = Hyperparameters(
    tempo=DAY,
    max_allowed_uids=4,
    max_allowed_validators=2,
    immunity_period=2 * DAY,
    weights_rate_limit=0,
    adjustment_interval=DAY,
    target_regs_per_interval=4,
    max_regs_per_block=4,
    burn=RAO,
    difficulty=EASY,
    min_difficulty=EASY,
)


def key(name: str) -> Keypair:
    """A development key; never one that holds value."""
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    """Its address."""
    return str(key(name).ss58_address)


def genesis() -> Genesis:
    """The article's figures with short days: nobody has anything, and one subnet gives places for work."""
    network = article_network(
        equal_start=True,
        subnet_limit=2,
        subnet_limits=(),
        subnet_immunity=7 * DAY,
        subnet_interval=DAY,
        lock_interval=14 * DAY,
        stake_interval=0,
        delegate_interval=0,
        root_seats=3,
        senate_seats=3,
        root_tempo=DAY // 2,
        root_weights_interval=0,
        motion_life=5 * DAY,
    )
    first = GenesisSubnet(name="first", hyperparameters=SETTINGS.model_copy(update={"work_allowed": True}))
    committee = tuple(address(name) for name in ("committee-1", "committee-2", "committee-3"))
    return preset_genesis(
        "article", clock="manual", network=network, new_subnet=SETTINGS, subnets=(first,), committee=committee
    )


@dataclass
class Story:
    """A chain, and what is told of it."""

    chain: EmbeddedChain
    say: Callable[[str], None] = print
    told: list[str] = field(default_factory=list)

    async def tell(self, text: str) -> None:
        """One line, with the block."""
        block = (await self.chain.block()).number
        self.told.append(text)
        self.say(f"block {block:>4}  {text}")

    async def do(self, call: Call, name: str) -> None:
        """Sign, send, and make the block."""
        await self.chain.carry_out(call, key(name))

    async def refused(self, call: Call, name: str) -> str:
        """The chain's error name for a call that must not succeed."""
        try:
            await self.do(call, name)
        except CallRefused as refusal:
            return refusal.name
        raise AssertionError(f"{call.call} was carried out")

    async def work(self, netuid: int, hotkey: str, coldkey: str) -> None:
        """Find work on the newest block and take a place for it."""
        block = await self.chain.block()
        given = challenge("2024", netuid, block.hash, address(hotkey), address(coldkey))
        found = search("2024", given, EASY, 0, 10**6)
        assert found is not None
        await self.do(RegisterWork(netuid, address(coldkey), block.number, found[0], found[1].hex()), hotkey)

    async def stake(self, hotkey: str) -> float:
        """TAO on a hotkey."""
        return await self.chain.stake(address(hotkey)) / RAO

    async def uids(self, netuid: int) -> dict[str, int]:
        """Uid by address."""
        return {neuron.hotkey: neuron.uid for neuron in (await self.chain.metagraph(netuid)).neurons}


async def launch(story: Story) -> None:
    """Nothing is there; two come by work, and earn alike until they weigh each other."""
    assert await story.chain.issuance() == 0
    await story.chain.advance(2)
    await story.work(1, "validator-1", "staker-1")
    await story.work(1, "miner-1", "worker")
    await story.tell("two neurons came by proof of work; nobody holds a rao")
    await story.chain.advance(2 * DAY)
    await story.do(SetWeights(1, (1,), (65535,)), "validator-1")
    await story.chain.advance(8 * DAY)
    held = [await story.stake(name) for name in ("validator-1", "miner-1")]
    await story.tell(
        f"emission made stake of {held[0]:.1f} and {held[1]:.1f} TAO; the first weighs the second"
    )


async def houses(story: Story) -> None:
    """A root network forms out of who has stake, and with it the senate."""
    await story.do(RootRegister(address("validator-1")), "staker-1")
    await story.do(RootRegister(address("miner-1")), "worker")
    await story.do(SetRootWeights(address("validator-1"), (1,), (65535,)), "staker-1")
    assert (
        await story.refused(SetRootWeights(address("miner-1"), (7,), (1,)), "worker")
        == "UidVecContainInvalidOne"
    )
    await story.tell("root has two seats, and their hotkeys are delegates and senators")


async def founding(story: Story) -> None:
    """A miner turns stake into TAO and pays an owner for work; the owner locks the cost of a subnet."""
    await story.do(RemoveStake(address("miner-1"), int(60 * RAO)), "worker")
    await story.do(RemoveStake(address("validator-1"), int(90 * RAO)), "staker-1")
    assert await story.refused(CreateSubnet(address("own"), "second"), "owner") == "NotEnoughBalanceToStake"
    await story.do(Transfer(address("owner"), int(55 * RAO)), "worker")
    await story.do(Transfer(address("owner"), int(50 * RAO)), "staker-1")
    await story.do(CreateSubnet(address("own"), "second"), "owner")
    await story.tell("an owner locked 100 TAO and founded a subnet")
    await story.do(Register(2, address("own")), "owner")
    await story.do(RootRegister(address("own")), "owner")
    assert (
        await story.refused(RegisterWork(2, address("worker"), 1, 1, "00" * 32), "miner-2")
        == "SubNetRegistrationDisabled"
    )
    await story.do(SetRootWeights(address("validator-1"), (1, 2), (1, 1)), "staker-1")
    await story.do(Register(2, address("validator-1")), "staker-1")
    await story.do(Register(2, address("miner-2")), "staker-1")
    await story.chain.advance(DAY + 1)  # a newcomer gets its permit at an epoch
    await story.do(SetWeights(2, ((await story.uids(2))[address("miner-2")],), (65535,)), "validator-1")
    await story.chain.advance(3 * DAY)
    earned = await story.stake("miner-2")
    assert earned > 0
    await story.tell(f"miners joined it by burn; root weighs both subnets; its miner holds {earned:.1f} TAO")


async def delegation(story: Story) -> None:
    """A staker nominates a validator and shares what it earns."""
    await story.do(Transfer(address("nominator"), int(20 * RAO)), "staker-1")
    await story.do(AddStake(address("validator-1"), int(15 * RAO)), "nominator")
    await story.chain.advance(2 * DAY)
    account = await story.chain.account(address("nominator"))
    grown = account.stakes[0].rao / RAO
    assert grown > 15
    await story.tell(
        f"a nominator's 15 TAO on the validator became {grown:.2f}, less 18 % of what they earned"
    )
    assert (
        await story.refused(BecomeDelegate(address("validator-1"), 1), "nominator") == "NonAssociatedColdKey"
    )


async def buying(story: Story) -> None:
    """A user who runs no neuron buys TAO, and compute of a miner for it."""
    await story.do(Transfer(address("user"), int(2 * RAO)), "staker-1")
    await story.do(Transfer(address("worker"), int(1.5 * RAO)), "user")
    await story.tell("a user paid a miner 1.5 TAO for work outside the subnets")


async def replacement(story: Story) -> None:
    """A full subnet takes another miner in the place of the weakest; a full network, later, another subnet."""
    for name in ("idle-1", "idle-2"):
        await story.work(1, name, "worker")
    await story.chain.advance(3 * DAY)
    before = await story.uids(1)
    await story.work(1, "miner-3", "late")
    after = await story.uids(1)
    (gone,) = before.keys() - after.keys()
    assert gone in (address("idle-1"), address("idle-2"))
    await story.tell("a fifth neuron replaced one that earned nothing")
    await story.do(SetRootWeights(address("validator-1"), (1, 2), (1, 9)), "staker-1")
    await story.chain.advance(12 * DAY)
    cost = await story.chain.network()
    await story.do(RemoveStake(address("validator-1"), cost.lock_cost + RAO), "staker-1")
    await story.do(CreateSubnet(address("hot-third"), "third"), "staker-1")
    names = [subnet.name for subnet in await story.chain.subnets()]
    assert names == ["third", "second"], "the first one had the least emission"
    await story.tell(
        f"a third subnet, for {cost.lock_cost / RAO:.1f} TAO, replaced the one that root weighed least"
    )


async def vote(story: Story) -> None:
    """The committee proposes what no owner may set; the senate carries it."""
    action = SetHyperparameter(2, "tempo", DAY // 2)
    assert await story.refused(action, "owner") == "BadOrigin"
    await story.do(Propose(action), "committee-1")
    await story.do(Vote(0, address("validator-1"), approve=True), "staker-1")
    assert await story.refused(CloseMotion(0), "committee-1") == "TooEarlyToCloseProposal"
    await story.do(Vote(0, address("own"), approve=True), "owner")
    await story.do(CloseMotion(0), "committee-1")
    assert (await story.chain.hyperparameters(2)).tempo == DAY // 2
    await story.tell("the senate halved the tempo of the second subnet")


async def books(story: Story) -> None:
    """Everybody's holdings, against what the chain says it issued, burned, locked and paid."""
    people = ("staker-1", "worker", "owner", "nominator", "user", "late", "committee-1")
    story.say(f"  {'TAO':<12}{'free':>12}{'staked':>12}{'locked':>12}")
    accounts = {name: await story.chain.account(address(name)) for name in people}
    for name, one in accounts.items():
        staked = sum(holding.rao for holding in one.stakes)
        story.say(
            f"  {name:<12} free {one.free / RAO:>9.4f}  staked {staked / RAO:>9.4f}  locked {one.locked / RAO:>9.4f}"
        )
    total = sum(one.free + one.locked + sum(held.rao for held in one.stakes) for one in accounts.values())
    assert total == await story.chain.issuance(), "every rao is somebody's"
    await _hotkey_books(story)
    await _coldkey_books(story, accounts)
    await story.tell(f"the books add up: {total / RAO:.4f} TAO")


async def _hotkey_books(story: Story) -> None:
    """On each hotkey lies what its epochs paid and what was staked to it, less what was taken away."""
    due, head = Counter[str](), (await story.chain.block()).number
    for row in await _paid(story, head):
        due[row.hotkey] += row.server_emission + row.validator_emission
    for event in await story.chain.events(0):
        sign = {"StakeAdded": 1, "StakeRemoved": -1, "StakeReleased": -1}.get(event.name, 0)
        if sign:
            due[event.data["hotkey"]] += sign * event.data["amount"]
    for hotkey, amount in due.items():
        assert await story.chain.stake(hotkey) == amount, hotkey


async def _coldkey_books(story: Story, accounts: Mapping[str, Account]) -> None:
    """Free TAO comes from transfers and stakes; for who owned a subnet also from the owner's cut."""
    due, burned = Counter[str](), 0
    for event in await story.chain.events(0):
        data = event.data
        if event.name == "Transfer":
            due[data["sender"]] -= data["amount"]
            due[data["to"]] += data["amount"]
        elif event.name in ("StakeAdded", "StakeRemoved", "StakeReleased"):
            due[data["coldkey"]] += data["amount"] * (-1 if event.name == "StakeAdded" else 1)
        elif event.name == "NeuronRegistered":
            due[data["coldkey"]] -= data["burn"]
            burned += data["burn"]
        elif event.name == "NetworkAdded":
            due[data["owner"]] -= data["lock"]
        elif event.name == "NetworkRemoved" and data["owner"]:
            due[data["owner"]] += data["returned"]
    cuts = {name: one.free - due[one.coldkey] for name, one in accounts.items()}
    assert {name for name, cut in cuts.items() if cut} <= {"owner", "staker-1"}, "only owners have a cut"
    paid = sum(row.server_emission + row.validator_emission for row in await _paid(story))
    assert sum(cuts.values()) == await story.chain.issuance() + burned - paid


async def _paid(story: Story, before: int = 10**9) -> list[EpochRow]:
    """Rows of all epochs that were paid: an epoch is paid in the block after it."""
    head = min(before, (await story.chain.block()).number)
    epochs = [epoch for netuid in (1, 2) for epoch in await story.chain.epochs(netuid, 0, former=True)]
    return [row for epoch in epochs if epoch.block < head for row in epoch.rows]


CHAPTERS: tuple[Callable[[Story], Awaitable[None]], ...] = (
    launch,
    houses,
    founding,
    delegation,
    buying,
    replacement,
    vote,
    books,
)


async def main() -> None:
    """Tell all of it."""
    async with EmbeddedChain(genesis()) as chain:
        story = Story(chain)
        for chapter in CHAPTERS:
            await chapter(story)


if __name__ == "__main__":
    asyncio.run(main())
