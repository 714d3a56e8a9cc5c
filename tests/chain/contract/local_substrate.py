"""A ``bittensor.Substrate`` over the local chain: the SDK's questions translated, its calls carried out there.

Nothing is canned: every answer is read from, and every call settled by, a chain of ours. It stands where the SDK would
open its websocket, so that the back end under test runs the same code as against a Subtensor node.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import bittensor as bt
from bittensor._transport.errors import SubstrateRequestException
from bittensor.error_map import CUSTOM_TRANSACTION_ERRORS
from bittensor.result import ChainError, ExtrinsicResult, chain_error_from_substrate_request
from translated_calls import CALLS, axon_record

from ranvier.chain import (
    Block,
    CallRefused,
    NotFound,
)
from ranvier.chain import (
    ChainError as OurChainError,
)
from ranvier.chain.local import LocalChain
from ranvier.chain.subtensor.decode import GLOBAL_SETTINGS, SETTINGS

AT_THE_POOL = {"serve_axon", "serve_axon_tls"}
"""Calls whose refusals a real runtime gives before any block holds them."""
POOL_CODES = {name: code for code, name in CUSTOM_TRANSACTION_ERRORS.items()}
RENAMED = {"NotEnoughStakeToSetWeights": "StakeAmountTooLow"}
"""What the pool of a real runtime calls by another name."""

_MLKEM_KEY_BYTES = 1184

MECHANISMS = {"set_mechanism_weights", "commit_mechanism_weights", "reveal_mechanism_weights"}
OLDER = frozenset({*MECHANISMS, "commit_timelocked_mechanism_weights", "LastEpochBlock", "ValidatorTrust",
                   "get_all_dynamic_info"})  # fmt: skip
"""What a runtime of 2025 lacks."""


@dataclass(frozen=True)
class Composed:
    """A call that this chain knows, ready to be signed."""

    module: str
    function: str
    params: Mapping[str, Any]


@dataclass
class LocalSubstrate:
    """One connection. `missing` names calls, storage and runtime APIs that this chain is to lack."""

    chain: LocalChain
    missing: frozenset[str] = frozenset()
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it, and the subscription goes quiet while the connection stays up."""
    token_symbols: dict[int, str] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    """With which each call was submitted."""
    shielded: bool = False
    """Whether this chain takes calls encrypted."""
    hidden: dict[str, Any] = field(default_factory=dict)
    """Calls inside encrypted ones, with their signers, and later their outcomes, by the hash that the SDK follows."""
    closed: bool = False
    seen: dict[str, Block] = field(default_factory=dict)
    states_kept: int = 1000
    """Blocks back to which this node still has the state."""

    def balance(self, rao: int, netuid: int = 0) -> Any:
        return bt.Balance.from_rao(rao, netuid)

    async def connect(self) -> None:
        await self._ask(self.chain.block())

    async def close(self) -> None:
        self.closed = True
        await self.chain.close()

    async def block_hash(self, block: int | None = None) -> str:
        if block == 0:
            return str(await self._ask(self.chain.genesis()))
        return str((await self._numbered(block)).hash)

    async def constant(self, module: str, name: str) -> int:
        assert (module, name) == ("Aura", "SlotDuration")
        return round(await self.block_time() * 1000)

    async def get_block(self, block_number: int | None = None, block_hash: str | None = None) -> Any:
        """Blocks are kept for ever, with the inherent that says when they were made."""
        block = await self._numbered(block_number)
        inherent = {"call_module": "Timestamp", "call_args": [{"value": round(block.timestamp * 1000)}]}
        header = {"number": block.number, "hash": block.hash}
        return {"header": header, "extrinsics": [{"call": inherent}]}

    async def block_number(self) -> int:
        return (await self._ask(self.chain.block())).number

    async def finalized_block_number(self) -> int:
        return await self.block_number()

    async def block_time(self) -> float:
        return float(await self._ask(self.chain.block_time()))

    async def spec_version(self) -> int:
        return 1

    async def mev_next_key(self) -> bytes | None:
        return bytes(_MLKEM_KEY_BYTES) if self.shielded else None

    async def account_next_index(self, address: str) -> int:
        return len(self.submitted)

    async def sign_extrinsic(
        self, call: Composed, keypair: Any, *, nonce: int, period: int
    ) -> tuple[bytes, str]:
        """What goes inside an encrypted call. The SDK encrypts it; the author of the block, who is here, keeps it."""
        name = f"0x{nonce:064x}"
        self.hidden[name] = (call, keypair)
        return repr(call).encode(), name

    async def find_extrinsic(self, extrinsic_hash: str, block_hash: str) -> ExtrinsicResult | None:
        return self.hidden.get(extrinsic_hash)

    async def query(self, module: str, item: str, params: Any = None, block_hash: str | None = None) -> Any:
        if item == "Now":
            return await self._now(block_hash)
        reader = self._storage(module, item)
        return await self._ask(reader(*(params or [])))

    async def query_map(
        self, module: str, item: str, params: Any = None, block_hash: str | None = None
    ) -> list[tuple[Any, Any]]:
        reader = self._map(module, item)
        return list(await self._ask(reader(*(params or []))) or [])

    async def query_batch(self, module: str, item: str, sets: Any, block_hash: str | None = None) -> Any:
        return [await self.query(module, item, params, block_hash) for params in sets]

    async def runtime_call(self, api: str, method: str, params: Any, block_hash: str | None = None) -> Any:
        if method in self.missing:
            raise ValueError(f"Runtime API Call '{api}.{method}' not found in registry")
        if method == "get_metagraph":
            return await self._ask(self._graph(*params))
        assert method == "get_all_dynamic_info", method
        subnets = await self._ask(self.chain.subnets())
        return [
            {
                "netuid": s.netuid,
                "subnet_name": list(s.name.encode()),
                "tao_in_emission": int(s.emission_share * 1e9),
            }
            for s in subnets
        ]

    async def blocks(self, *, finalized: bool = False) -> AsyncIterator[dict[str, Any]]:
        head = await self.block_number()
        async for block in self.chain.blocks(head):
            while self.silent.is_set():
                await asyncio.sleep(0.01)
            yield {"header": {"number": block.number, "parentHash": None}}

    async def events(self, block_hash: str | None = None) -> list[dict[str, Any]]:
        numbers = {block.hash: block.number for block in await self._recent()}
        number = numbers[block_hash] if block_hash else max(numbers.values())
        return [
            {
                "event": {
                    "module_id": "SubtensorModule",
                    "event_id": event.name,
                    "attributes": dict(event.data),
                }
            }
            for event in await self._ask(self.chain.events(number - 1))
            if event.block == number
        ]

    async def compose(self, call: tuple[str, str, Mapping[str, Any]]) -> Composed:
        module, function, params = call
        known = function in CALLS or (self.shielded and function == "submit_encrypted")
        if function in self.missing or not known:
            raise ValueError(f"call {module}.{function} not found in metadata")
        return Composed(module, function, params)

    async def submit(self, call: Composed, keypair: Any, **options: Any) -> ExtrinsicResult:
        self.submitted.append(call.function)
        self.options.append(options)
        if call.function == "submit_encrypted":
            return await self._decrypt()
        return await self._carry_out(call, keypair)

    async def _decrypt(self) -> ExtrinsicResult:
        """The author of a block finds the call inside; the outer one succeeds whatever becomes of it."""
        name, (call, keypair) = self.hidden.popitem()
        self.hidden[name] = inner = await self._carry_out(call, keypair)
        head = await self._numbered(None)
        place = inner.extrinsic_id or f"{head.number}-0001"
        return ExtrinsicResult(success=True, message="Success", block_hash=head.hash, extrinsic_id=place)

    async def _carry_out(self, call: Composed, keypair: Any) -> ExtrinsicResult:
        ours = CALLS[call.function](call.params)
        try:
            receipt = await self.chain.submit(ours, keypair, deadline=20.0)
        except CallRefused as error:
            return await self._refused(call.function, error)
        except OurChainError as error:
            raise bt.RpcConnectionError(str(error)) from error
        return ExtrinsicResult(
            success=True,
            message="Success",
            block_hash=receipt.call_hash,
            extrinsic_id=f"{receipt.block}-0001",
        )

    async def _refused(self, function: str, error: CallRefused) -> ExtrinsicResult:
        name = RENAMED.get(error.name, error.name)
        if (function in AT_THE_POOL or name != error.name) and name in POOL_CODES:
            data = f"Custom error: {POOL_CODES[name]}"
            request = SubstrateRequestException(
                {"error": {"code": 1010, "message": "Invalid Transaction", "data": data}}
            )
            found = chain_error_from_substrate_request(request)
            return ExtrinsicResult(success=False, message=found.message, error=found)
        head = await self._ask(self.chain.block())
        found = ChainError(error.message, error.name)
        return ExtrinsicResult(success=False, message=error.message, block_hash=head.hash, error=found)

    async def _ask(self, reading: Any) -> Any:
        try:
            return await reading
        except NotFound:
            return None
        except OurChainError as error:
            raise bt.RpcConnectionError(str(error)) from error

    def _storage(self, module: str, item: str) -> Callable[..., Any]:
        if item in self.missing:
            raise ValueError(f"Storage function {module}.{item} not found")
        if item in SETTINGS.values():
            return lambda netuid: self._setting(netuid, item)
        found = {
            "ValidatorTrust": self._trusts,
            "Account": self._account,
            "TotalIssuance": self.chain.issuance,
            "NetworksAdded": self._added,
            "WeightCommits": self._commits,
            **{name: self._global_setting(name) for name in GLOBAL_SETTINGS.values()},
        }
        if item not in found:
            raise ValueError(f"Storage function {module}.{item} not found")
        return found[item]

    def _map(self, module: str, item: str) -> Callable[..., Any]:
        if item in self.missing:
            raise ValueError(f"Storage function {module}.{item} not found")
        columns = {
            "NetworksAdded": lambda s: True,
            "Tempo": lambda s: s.tempo,
            "SubnetworkN": lambda s: s.neurons,
            "MaxAllowedUids": lambda s: s.max_neurons,
            "Burn": lambda s: s.burn,
            "SubnetOwner": lambda s: s.owner,
            "NetworkRegisteredAt": lambda s: s.created_at,
            "TokenSymbol": lambda s: list(b"x"),
        }
        if item in columns:
            return lambda: self._column(columns[item])
        found = {"Weights": self._weights, "Bonds": self._bonds, "TotalHotkeyAlpha": self._stake}
        if item not in found:
            raise ValueError(f"Storage function {module}.{item} not found")
        return found[item]

    async def _column(self, value: Callable[[Any], Any]) -> list[tuple[int, Any]]:
        found = [(s.netuid, value(s)) for s in await self.chain.subnets()]
        return [pair for pair in found if pair[1] is not None]

    async def _setting(self, netuid: int, item: str) -> Any:
        name = next(ours for ours, theirs in SETTINGS.items() if theirs == item)
        found = await self.chain.hyperparameters(netuid)
        return (found.alpha_low, found.alpha_high) if item == "AlphaValues" else getattr(found, name)

    def _global_setting(self, item: str) -> Callable[[], Any]:
        name = next(ours for ours, theirs in GLOBAL_SETTINGS.items() if theirs == item)

        async def read() -> Any:
            (first, *_) = await self.chain.subnets()
            return getattr(await self.chain.hyperparameters(first.netuid), name)

        return read

    async def _now(self, block_hash: str | None) -> int:
        head = await self._numbered(None)
        if block_hash and block_hash not in self.seen:
            self.seen |= {block.hash: block for block in await self._recent()}
        found = self.seen.get(block_hash or head.hash)
        if found is None or head.number - found.number > self.states_kept:
            raise ChainError(f"State discarded for {block_hash}")
        return round(found.timestamp * 1000)

    async def _numbered(self, number: int | None) -> Block:
        if number is None:
            found = await self._ask(self.chain.block())
        else:
            async for found in self.chain.blocks(number - 1):  # noqa: B007 - the first one
                break
        self.seen[found.hash] = found
        return found

    async def _trusts(self, netuid: int) -> list[int]:
        return [neuron.validator_trust for neuron in (await self.chain.metagraph(netuid)).neurons]

    async def _account(self, ss58: str) -> Any:
        return {"data": {"free": await self.chain.balance(ss58)}}

    async def _added(self, netuid: int) -> bool:
        return netuid in {subnet.netuid for subnet in await self.chain.subnets()}

    async def _commits(self, netuid: int, hotkey: str) -> Any:
        found = await self.chain.commits(netuid, hotkey)
        return [(commit.hash, commit.block, commit.first_reveal, commit.last_reveal) for commit in found]

    async def _weights(self, netuid: int) -> list[tuple[int, Any]]:
        return [(uid, list(row.items())) for uid, row in (await self.chain.weights(netuid)).items()]

    async def _bonds(self, netuid: int) -> list[tuple[int, Any]]:
        return [(uid, list(row.items())) for uid, row in (await self.chain.bonds(netuid)).items()]

    async def _stake(self, hotkey: str) -> list[tuple[int, int]]:
        return [(0, await self.chain.stake(hotkey))]

    async def _recent(self) -> list[Any]:
        head = (await self.chain.block()).number
        found = []
        async for block in self.chain.blocks(max(head - 250, 0)):
            found.append(block)
            if block.number >= head:
                return found
        raise AssertionError

    async def _graph(self, netuid: int) -> dict[str, Any]:
        graph = await self.chain.metagraph(netuid)
        neurons = graph.neurons
        return {
            "netuid": netuid,
            "name": list(graph.name.encode()),
            "block": graph.block,
            "tempo": graph.tempo,
            "last_step": graph.last_step,
            "hotkeys": [n.hotkey for n in neurons],
            "coldkeys": [n.coldkey for n in neurons],
            "active": [n.active for n in neurons],
            "validator_permit": [n.validator_permit for n in neurons],
            "last_update": [n.last_update for n in neurons],
            "block_at_registration": [n.registered_at for n in neurons],
            "rank": [n.rank for n in neurons],
            "trust": [n.trust for n in neurons],
            "consensus": [n.consensus for n in neurons],
            "incentives": [n.incentive for n in neurons],
            "dividends": [n.dividends for n in neurons],
            "emission": [n.emission for n in neurons],
            "total_stake": [n.stake for n in neurons],
            "axons": [axon_record(n.axon) for n in neurons],
        }
