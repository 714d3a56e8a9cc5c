"""The chain's JSON API, version 1: one handler per question, none changes the state but by signed calls."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from ranvier.chain import explorer_views, views
from ranvier.chain.addresses import is_address
from ranvier.chain.api import LONGEST_WAIT, MOST_EVENTS, Advance, CallState, ChainInfo
from ranvier.chain.dispatch import carried_out
from ranvier.chain.errors import CallRefused, NotFound
from ranvier.chain.node import ChainNode
from ranvier.chain.pages import MOST_EPOCHS, MOST_POINTS
from ranvier.chain.rules import rules_of
from ranvier.chain.signed import LONGEST_LIFE, SignedCall
from ranvier.chain.state import ChainState

T = TypeVar("T")
NODE = web.AppKey("node", ChainNode)
_JSON: TypeAdapter[Any] = TypeAdapter(Any)


class BadRequest(Exception):
    """The request itself is wrong; the message says how."""


def add_routes(app: web.Application) -> None:
    """Install all handlers."""
    subnet = "/v1/subnets/{netuid:[0-9]{1,5}}"
    app.router.add_get("/health", _health)
    app.router.add_get("/v1/chain", _chain)
    app.router.add_get("/v1/block", _block)
    app.router.add_get("/v1/blocks", _blocks)
    app.router.add_get("/v1/events", _events)
    app.router.add_get("/v1/issuance", _issuance)
    app.router.add_get("/v1/state-hash", _state_hash)
    app.router.add_get("/v1/checkpoint", _checkpoint)
    app.router.add_get("/v1/balances/{ss58}", _balance)
    app.router.add_get("/v1/stakes/{ss58}", _stake)
    app.router.add_get("/v1/network", _of_state(explorer_views.network))
    app.router.add_get("/v1/root", _of_state(explorer_views.root))
    app.router.add_get("/v1/delegates", _delegates)
    app.router.add_get("/v1/accounts/{ss58}", _account)
    app.router.add_get("/v1/accounts/{ss58}/history", _account_history)
    app.router.add_get(f"{subnet}/detail", _detail)
    app.router.add_get(f"{subnet}/history", _subnet_history)
    app.router.add_get("/v1/subnets", _of_state(views.subnets))
    app.router.add_get(f"{subnet}/metagraph", _of_subnet(views.metagraph))
    app.router.add_get(f"{subnet}/hyperparameters", _of_subnet(views.hyperparameters))
    app.router.add_get(f"{subnet}/weights", _of_subnet(views.weights))
    app.router.add_get(f"{subnet}/bonds", _of_subnet(views.bonds))
    app.router.add_get(f"{subnet}/epochs", _epochs)
    app.router.add_get(f"{subnet}/commits/{{ss58}}", _commits)
    app.router.add_get(f"{subnet}/lock", _lock)
    app.router.add_get("/v1/pulse/{block:[0-9]{1,15}}", _pulse)
    app.router.add_post("/v1/calls", _submit)
    app.router.add_get("/v1/calls/{hash:0x[0-9a-f]{64}}", _outcome)
    app.router.add_post("/v1/admin/advance", _advance)


def reply(value: Any, status: int = 200) -> web.Response:
    """Any model or plain value as a JSON reply."""
    return web.Response(body=_JSON.dump_json(value), status=status, content_type="application/json")


def _of_state(view: Callable[[ChainState], Any]) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        return reply(await request.app[NODE].read(view))

    return handler


def _of_subnet(view: Callable[[ChainState, int], Any]) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        netuid = int(request.match_info["netuid"])
        return reply(await request.app[NODE].read(lambda state: view(state, netuid)))

    return handler


async def _health(request: web.Request) -> web.Response:
    node = request.app[NODE]
    alive = node.failure is None
    found = {"alive": alive, "block": node.head.number, "reason": str(node.failure or "")}
    return reply(found, 200 if alive else 503)


async def _chain(request: web.Request) -> web.Response:
    genesis = request.app[NODE].genesis
    version = await request.app[NODE].read(lambda state: state.network.parameters.commit_reveal_version)
    info = ChainInfo(
        name=genesis.name,
        genesis=request.app[NODE].genesis_hash,
        era=genesis.era,
        clock=genesis.clock,
        block_time=genesis.block_time,
        longest_life=LONGEST_LIFE,
        allow_loopback=genesis.allow_loopback,
        calls=carried_out(genesis.era, version),
    )
    return reply(info)


async def _block(request: web.Request) -> web.Response:
    return reply(request.app[NODE].head)


async def _blocks(request: web.Request) -> web.Response:
    after, patience = _number(request, "after"), _patience(request)
    return reply(await request.app[NODE].blocks(after, patience))


async def _events(request: web.Request) -> web.Response:
    since = _number(request, "since")
    return reply(await request.app[NODE].history(lambda store: store.events(since, MOST_EVENTS)))


async def _epochs(request: web.Request) -> web.Response:
    netuid, limit = int(request.match_info["netuid"]), _limit(request, MOST_EPOCHS)
    since = max(_number(request, "since"), await _founded(request, netuid))
    return reply(await request.app[NODE].history(lambda store: store.history.epochs(netuid, since, limit)))


async def _commits(request: web.Request) -> web.Response:
    netuid, hotkey = int(request.match_info["netuid"]), _address(request)
    return reply(await request.app[NODE].read(lambda state: views.commits(state, netuid, hotkey)))


async def _lock(request: web.Request) -> web.Response:
    return reply(await request.app[NODE].lock(int(request.match_info["netuid"])))


async def _pulse(request: web.Request) -> web.Response:
    return reply(request.app[NODE].pulse(int(request.match_info["block"])))


async def _issuance(request: web.Request) -> web.Response:
    return reply(await request.app[NODE].read(lambda state: state.ledger.issuance))


async def _state_hash(request: web.Request) -> web.Response:
    return reply(await request.app[NODE].hash_state())


async def _checkpoint(request: web.Request) -> web.Response:
    made = await request.app[NODE].checkpoint()
    return web.Response(text=made.model_dump_json(), content_type="application/json")


async def _delegates(request: web.Request) -> web.Response:
    node = request.app[NODE]
    rules = rules_of(node.genesis.era)
    return reply(await node.read(lambda state: explorer_views.delegates(state, rules)))


async def _account(request: web.Request) -> web.Response:
    ss58 = _address(request)
    return reply(await request.app[NODE].read(lambda state: explorer_views.account(state, ss58)))


async def _account_history(request: web.Request) -> web.Response:
    ss58, since, limit = _address(request), _number(request, "since"), _limit(request, MOST_POINTS)
    return reply(await request.app[NODE].history(lambda store: store.history.account(ss58, since, limit)))


async def _detail(request: web.Request) -> web.Response:
    node, netuid = request.app[NODE], int(request.match_info["netuid"])
    rules = rules_of(node.genesis.era)
    return reply(await node.read(lambda state: explorer_views.subnet_detail(state, rules, netuid)))


async def _subnet_history(request: web.Request) -> web.Response:
    netuid, limit = int(request.match_info["netuid"]), _limit(request, MOST_POINTS)
    # The block that founds a subnet has a point of it, but no epoch.
    since = max(_number(request, "since"), await _founded(request, netuid) - 1)
    return reply(await request.app[NODE].history(lambda store: store.history.points(netuid, since, limit)))


async def _founded(request: web.Request, netuid: int) -> int:
    """The block that founded the present subnet; 0 where `former=1` asks for those of its number before it, too."""
    former = request.query.get("former", "0")
    if former not in ("0", "1"):
        raise BadRequest("the query former is 0, or 1 for subnets that had the number before")
    if former == "1":
        return 0
    return await request.app[NODE].read(lambda state: views.subnet_of(state, netuid).created_at)


async def _balance(request: web.Request) -> web.Response:
    ss58 = _address(request)
    return reply(await request.app[NODE].read(lambda state: state.ledger.balance(ss58)))


async def _stake(request: web.Request) -> web.Response:
    ss58 = _address(request)
    return reply(await request.app[NODE].read(lambda state: state.ledger.staked(ss58)))


async def _submit(request: web.Request) -> web.Response:
    try:
        signed = SignedCall.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadRequest(f"no signed call: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return reply(CallState(call_hash=await request.app[NODE].receive(signed), status="waiting"), 202)


async def _outcome(request: web.Request) -> web.Response:
    node, call_hash = request.app[NODE], request.match_info["hash"]
    found = await node.outcome(call_hash, _patience(request))
    if found is None:
        status = "waiting" if node.is_waiting(call_hash) else "unknown"
        return reply({"call_hash": call_hash, "status": status})
    settled = CallState(
        call_hash=call_hash, status="settled", block=found.block, error=found.error, message=found.message
    )
    return reply(settled)


async def _advance(request: web.Request) -> web.Response:
    node = request.app[NODE]
    if node.genesis.clock != "manual" or not _is_near(request):
        raise CallRefused(
            "BadOrigin", "only a manual clock is advanced, and only from this machine", "advance"
        )
    if request.content_type != "application/json":
        raise BadRequest("send JSON")
    try:
        wanted = Advance.model_validate_json(await request.read())
    except ValidationError as error:
        raise BadRequest('send {"blocks": N} with N from 1 to 100000') from error
    for _ in range(wanted.blocks):
        await node.make_block()
    return reply(node.head)


def _is_near(request: web.Request) -> bool:
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def _number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise BadRequest(f"give the query {name}=N, a whole number")
    return int(text)


def _limit(request: web.Request, most: int) -> int:
    """How many are asked for; the most there can be in one reply where nothing is said."""
    limit = _number(request, "limit") if "limit" in request.query else most
    if not 1 <= limit <= most:
        raise BadRequest(f"the query limit=N is from 1 to {most} here; ask on from the reply's `next`")
    return limit


def _patience(request: web.Request) -> float:
    try:
        seconds = float(request.query.get("wait", "0"))
    except ValueError as error:
        raise BadRequest("the query wait=S is a number of seconds") from error
    if math.isnan(seconds):  # A timer of no time at all would put the event loop's other timers out of order.
        raise BadRequest("the query wait=S is a number of seconds")
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _address(request: web.Request) -> str:
    ss58 = request.match_info["ss58"]
    if not is_address(ss58):
        raise NotFound(f"{ss58[:64]!r} is no ss58 address")
    return ss58
