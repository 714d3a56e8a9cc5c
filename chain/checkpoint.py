"""A whole chain at one block as a file: made while it runs, restored elsewhere, carried on from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ranvier.chain.errors import BadCheckpoint
from ranvier.chain.explorer_views import traded_prices
from ranvier.chain.genesis import Genesis
from ranvier.chain.models import Block
from ranvier.chain.pulse import Pulse
from ranvier.chain.records import decode, encode, names, state_hash
from ranvier.chain.state import ChainState
from ranvier.chain.store import SCHEMA_VERSION, Commit, Store


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A row that was locked when a checkpoint was made, promised in `block`, to be opened with block `round`."""

    netuid: int
    hotkey: str
    block: int
    round: int


class Checkpoint(BaseModel):
    """State records by name, with the hash that they must have.

    `pulse` is the mark of the keys that rows are locked to in the chain it is of; the keys themselves are in no
    checkpoint, because whoever has one could read rows early.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    genesis: Genesis
    block: Block
    state_hash: str
    records: dict[str, str]
    pulse: str

    @model_validator(mode="before")
    @classmethod
    def _of_this_version(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("version") != SCHEMA_VERSION:
            found = {"found": given.get("version", "no version"), "known": SCHEMA_VERSION}
            message = "it has schema {found}, this program knows {known}; use the program that wrote it"
            raise PydanticCustomError("schema", message, found)
        return given

    @classmethod
    def of(cls, state: ChainState, genesis: Genesis, pulse: Pulse) -> Checkpoint:
        """The state as it is now, of a chain with these keys."""
        written = encode(state, names(state))
        kept = {name: value for name, value in written.items() if value is not None}
        return cls(
            version=SCHEMA_VERSION,
            genesis=genesis,
            block=state.head,
            state_hash=state_hash(state),
            records=kept,
            pulse=pulse.mark(),
        )

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """From a file. Raises `BadCheckpoint`."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise BadCheckpoint(path, f"it cannot be read: {error.strerror}") from error
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise BadCheckpoint(path, f"{where}: {fault['msg']}" if where else fault["msg"]) from error

    def write(self, path: Path) -> None:
        """Into a file, whole or not at all."""
        draft = path.with_name(path.name + ".part")
        draft.write_text(self.model_dump_json())
        draft.replace(path)

    def restore(self, folder: Path, pulse: Pulse | None = None) -> tuple[WaitingRow, ...]:
        """Into an empty folder, from which a chain then goes on; returns the locked rows that it cannot open.

        Those are none where the `pulse` of the chain that the checkpoint is of comes along. Raises `BadCheckpoint` and
        `StateUnusable`.
        """
        if pulse is not None and not pulse.fits(self.pulse):
            raise BadCheckpoint(
                folder,
                "the keys that were given are of another chain; name the state folder of the one that it is of",
            )
        try:
            state = decode(self.records, self.genesis.existential_deposit)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise BadCheckpoint(folder, f"its records are damaged ({error!r})") from error
        found = state_hash(state)
        if found != self.state_hash or state.ledger.total() != state.ledger.issuance:
            raise BadCheckpoint(folder, f"its records have the state hash {found}, not {self.state_hash}")
        first = Commit(self.block, self.records, prices=traded_prices(state, self.records))
        store = Store(folder)
        try:
            if not store.is_empty():
                raise BadCheckpoint(folder, "this folder holds a chain already; name an empty one")
            store.begin(self.genesis.model_dump_json(), self.genesis.hash(), first, pulse)
        finally:
            store.close()
        return () if pulse is not None else _waiting(state)


def _waiting(state: ChainState) -> tuple[WaitingRow, ...]:
    return tuple(
        WaitingRow(netuid, hotkey, promise.block, promise.first_reveal)
        for netuid, subnet in sorted(state.subnets.items())
        for hotkey, promises in sorted(subnet.commits.items())
        for promise in promises
        if promise.sealed
    )
