"""The plan of one network: who has which key, uid and port. Written once; every process of the network reads it."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ranvier.neurons.localnet.cast import Kind


class Frozen(BaseModel):
    """A record of the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(Frozen):
    """One participant; its wallet has its name. ``stake`` is in rao, ``delay`` in seconds."""

    name: str
    kind: Kind
    uid: int
    hotkey: str
    coldkey: str
    stake: int = 0
    cheat: str | None = None
    model: str | None = None
    delay: float = 0.0


class Subnetwork(Frozen):
    """One subnet of the network, with its engine's address where it needs one."""

    name: str
    netuid: int
    engine: str | None
    models: tuple[str, ...]
    members: tuple[Member, ...]

    def of(self, *kinds: Kind) -> tuple[Member, ...]:
        """The members of the given kinds, in uid order."""
        return tuple(member for member in self.members if member.kind in kinds)

    @property
    def validators(self) -> tuple[Member, ...]:
        """Everyone that sets weights."""
        return tuple(member for member in self.members if member.kind.validates)

    @property
    def miners(self) -> tuple[Member, ...]:
        """Everyone else."""
        return tuple(member for member in self.members if not member.kind.validates)


class Plan(Frozen):
    """A network. ``block_time`` is in seconds; ``tempo`` and ``round_blocks`` in blocks; paths hang on ``folder``."""

    version: int = 1
    seed: int
    block_time: float
    tempo: int
    round_blocks: int
    chain_port: int
    subnets: tuple[Subnetwork, ...]

    @property
    def endpoint(self) -> str:
        """The chain server's address."""
        return f"http://127.0.0.1:{self.chain_port}"

    def subnet(self, name: str) -> Subnetwork:
        """The subnet of that name; KeyError if there is none."""
        return next(subnet for subnet in self.subnets if subnet.name == name)


class Folder:
    """Where a network lives on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plan = root / "plan.json"
        self.genesis = root / "genesis.json"
        self.chain = root / "chain"
        self.wallets = root / "wallets"
        self.logs = root / "logs"
        self.nodes = root / "nodes"
        self.lock = root / "lock"

    def make(self) -> None:
        """Create the folders, readable by the owner only."""
        for path in (self.root, self.chain, self.wallets, self.logs, self.nodes):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def socket(self, subnet: str) -> Path:
        """Where the subnet's engine listens; in the system's temporary folder, as socket paths must be short."""
        mark = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ranvier-{mark}-{subnet}.sock"

    def events(self, member: str) -> Path:
        """The JSON lines in which a validator says what its rounds came to."""
        return self.nodes / f"{member}.events.jsonl"

    def state(self, member: str) -> Path:
        """A node's own folder."""
        return self.nodes / member


def free_port(wanted: int = 0) -> int:
    """A TCP port of the loopback interface that nobody listens on now: ``wanted`` if it can be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])
