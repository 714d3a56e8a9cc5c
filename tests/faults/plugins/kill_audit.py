"""What must hold of a validator's state after every death, and of what the chain heard in all its lives."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from kill_world import HIDDEN, OPEN, KillWorld, Spoken

from ranvier.chain import views
from ranvier.neurons.errors import StateError
from ranvier.neurons.state.database import Database

THERE = ("landed", "landed before", "promised")
ENOUGH = 4
"""Blocks in which a living validator must have shown a promise: it looks, sends, and the next block holds it."""


def lines(world: KillWorld, netuid: int) -> list[dict[str, Any]]:
    """What the validator acknowledged to the outside."""
    file = world.events(netuid)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def state_faults(world: KillWorld) -> list[str]:
    """Of both files, while no validator runs."""
    return [fault for netuid in (OPEN, HIDDEN) for fault in _state_faults(world, netuid)]


def _state_faults(world: KillWorld, netuid: int) -> Iterator[str]:
    said = lines(world, netuid)
    if not world.state(netuid).exists():
        if said:
            yield f"subnet {netuid}: rounds were acknowledged and there is no state"
        return
    try:
        with Database(world.state(netuid)) as database:
            yield from _lost_rounds(database, netuid, said)
            yield from _torn_scores(database, netuid)
            yield from _lost_weights(database, netuid, said)
    except StateError as error:
        yield f"subnet {netuid}: {error}"


def _lost_rounds(database: Database, netuid: int, said: list[dict[str, Any]]) -> Iterator[str]:
    stored = dict(database.rows("SELECT number, report FROM rounds WHERE status = 'done'"))
    for event in said:
        if event["event"] == "round" and json.loads(stored.get(event["round"], "null")) != event:
            yield f"subnet {netuid}: round {event['round']} was acknowledged and is not stored as it was"
    secrets = {commitment for (commitment,) in database.rows("SELECT commitment FROM secrets")}
    for event in said:
        if event["event"] in ("commit", "reveal") and event["commitment"] not in secrets:
            yield f"subnet {netuid}: the secret of epoch {event['epoch']} was announced and is lost"


def _torn_scores(database: Database, netuid: int) -> Iterator[str]:
    """Scores and the report of the newest round are one transaction."""
    newest = database.rows("SELECT report FROM rounds WHERE status = 'done' ORDER BY number DESC LIMIT 1")
    stored = dict(database.rows("SELECT hotkey, average FROM scores"))
    for line in json.loads(newest[0][0])["miners"] if newest else ():
        if stored.get(line["hotkey"], 0.0) != line["average"]:
            yield f"subnet {netuid}: the score of {line['hotkey']} is not that of the newest round"


def _lost_weights(database: Database, netuid: int, said: list[dict[str, Any]]) -> Iterator[str]:
    where = "SELECT epoch, weights FROM vectors WHERE status IN ('landed', 'promised', 'expired')"
    stored = {epoch: json.loads(text) for epoch, text in database.rows(where)}
    for event in said:
        said_to_be_there = event["event"] == "weights" and event["landing"] in THERE
        if said_to_be_there and stored.get(event["epoch"]) != event["weights"]:
            yield f"subnet {netuid}: weights of epoch {event['epoch']} were said to be there; the journal says no"


async def spoken_faults(world: KillWorld) -> list[str]:
    """Of the chain's history against the journals."""
    opened = [one for one in world.spoken if one.netuid == OPEN]
    promised = [one for one in world.spoken if one.netuid == HIDDEN and one.name == "WeightsCommitted"]
    graph = await world.node.read(lambda state: views.metagraph(state, OPEN))
    uids = {neuron.hotkey: neuron.uid for neuron in graph.neurons}
    rows, hashes = _journalled(world, uids)
    found = [*two_words(opened), *two_words(promised)]
    found += [f"a row of block {one.block} is in no journal" for one in opened if one.said not in rows]
    found += [
        f"a promise of block {one.block} is in no journal" for one in promised if one.said not in hashes
    ]
    return found + await _unkept(world, promised, hashes)


def _journalled(world: KillWorld, uids: dict[str, int]) -> tuple[set[str], dict[str, tuple[str, str]]]:
    """Rows of the open subnet; hash to (status, row) of the hidden one."""
    with Database(world.state(OPEN)) as database:
        vectors = [json.loads(text) for (text,) in database.rows("SELECT weights FROM vectors")]
    with Database(world.state(HIDDEN)) as database:
        promises = database.rows("SELECT promise, status FROM vectors WHERE promise IS NOT NULL")
    rows = {str(sorted((uids[hotkey], value) for hotkey, value in vector.items())) for vector in vectors}
    hashes = {}
    for text, status in promises:
        name, entries, *_ = json.loads(text)
        hashes[name] = (status, str([tuple(pair) for pair in entries]))
    return rows, hashes


def two_words(spoken: list[Spoken]) -> list[str]:
    """Epochs of one subnet in which the chain heard different vectors, or promises of different ones."""
    by_epoch: dict[int, set[str]] = defaultdict(set)
    for one in spoken:
        by_epoch[one.epoch].add(one.said)
    return [
        f"subnet {spoken[0].netuid}: {len(said)} different vectors in the epoch after block {epoch}"
        for epoch, said in by_epoch.items()
        if len(said) > 1
    ]


async def _unkept(world: KillWorld, promised: list[Spoken], hashes: dict[str, tuple[str, str]]) -> list[str]:
    """Every promise whose window is over, and of which a validator saw enough, must be shown as it was meant."""
    revealed = Counter(one.said for one in world.spoken if one.name == "WeightsRevealed")
    head, found = world.node.head.number, []
    for one in promised:
        status, row = hashes.get(one.said, ("unknown", ""))
        if one.window[1] < head and (status != "landed" or not revealed[row]) and not unseen(world, one):
            found.append(f"the promise {one.said[:18]} of block {one.block} was not kept: it is {status}")
    return found


def unseen(world: KillWorld, promise: Spoken) -> bool:
    """Whether no validator lived through `ENOUGH` blocks of a promise's window."""
    first, last = promise.window
    return all(min(end, last) - max(start, first - 1) + 1 < ENOUGH for start, end in world.lives)


def figures(world: KillWorld) -> dict[str, int]:
    """What there was to lose."""
    names, head = Counter(one.name for one in world.spoken), world.node.head.number
    distinct = {(one.netuid, one.epoch, one.said) for one in world.spoken if one.name != "WeightsRevealed"}
    statuses: Counter[str] = Counter()
    for netuid in (OPEN, HIDDEN):
        with Database(world.state(netuid)) as database:
            statuses.update(status for (status,) in database.rows("SELECT status FROM vectors"))
    sent = names["WeightsSet"] + names["WeightsCommitted"]
    return {
        "rounds acknowledged": sum(
            line["event"] == "round" for netuid in (OPEN, HIDDEN) for line in lines(world, netuid)
        ),
        "vectors set in the open": names["WeightsSet"],
        "promises made": names["WeightsCommitted"],
        "promises kept": names["WeightsRevealed"],
        "promises whose window no validator saw": sum(
            one.name == "WeightsCommitted" and one.window[1] < head and unseen(world, one)
            for one in world.spoken
        ),
        "sent again unchanged": sent - len(distinct),
        **{f"journal: {status}": count for status, count in sorted(statuses.items())},
    }
