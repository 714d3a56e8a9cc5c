"""What a subnet author writes: a synapse, where tasks come from, how to answer, how to score.

Everything that a subnet could get wrong for all (secret seeds, zero for what was not verified, audits drawn after
the answers, penalties, averages by hotkey) is done by the framework around these classes.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ranvier.engines.client import EngineClient
from ranvier.protocol import Answered, Answering, Caller, Dendrite, Handler, Outcome, Synapse, Target

S = TypeVar("S", bound=Synapse)


class SubnetSettings(BaseModel):
    """Settings every subnet has; a subnet subclasses it for its own. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: float = Field(default=20.0, gt=0, description="seconds a miner has for one answer")
    tasks_per_miner: int = Field(default=1, ge=1, description="tasks sent to each miner at the same instant")
    audit_rate: float = Field(
        default=1.0, gt=0, le=1, description="share of answers verified, drawn after they came"
    )
    penalty_rounds: int = Field(
        default=20,
        ge=0,
        description="rounds of verified work that a caught miner does for nothing; more where audits are rare",
    )
    trial_rounds: int = Field(default=3, ge=0, description="first rounds of a hotkey, watched and not paid")
    alpha: float = Field(
        default=0.2, gt=0, le=1, description="weight of the newest round in the moving average"
    )
    power: float = Field(
        default=1.0, gt=0, description="exponent applied to averages before weights are normalised"
    )


@dataclass(frozen=True, slots=True)
class EngineNeed:
    """What a subnet asks of an engine; checked at start, refused with the reason."""

    kind: str
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Peer:
    """One miner as the validator sees it in this round; uid and hotkey never travel apart."""

    uid: int
    hotkey: str
    target: Target


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one validator. ``secret`` (32 bytes) is the epoch's, journalled by hash before the epoch."""

    number: int
    netuid: int
    block: int
    block_hash: str
    validator: str
    peers: tuple[Peer, ...]
    secret: bytes = field(repr=False)

    def seed(self, miner: str, k: int = 0, purpose: str = "task") -> bytes:
        """32 bytes that nobody without the epoch's secret can predict (reference: cheats, rule 1)."""
        text = f"{purpose}|{self.block_hash}|{self.netuid}|{self.number}|{self.validator}|{miner}|{k}"
        return hmac.new(self.secret, text.encode(), hashlib.sha256).digest()

    def random(self, miner: str, k: int = 0, purpose: str = "task") -> random.Random:
        """A generator seeded by `seed`; use it for everything a task leaves to chance."""
        return random.Random(self.seed(miner, k, purpose))


def bound_seed(challenge: bytes, miner: str, caller: str) -> bytes:
    """The noise an answer must carry: bound to the answering and the *verified* asking hotkey.

    A relayed challenge is answered under other hotkeys and is therefore worthless (cheats, rule 2).
    """
    return hashlib.sha256(
        b"ranvier-bound-seed/1\0" + challenge + miner.encode() + b"\0" + caller.encode()
    ).digest()


@dataclass(frozen=True, slots=True)
class Task(Generic[S]):
    """One request to one miner. ``reference`` stays with the validator and never reaches the wire."""

    peer: Peer
    request: S
    reference: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer(Generic[S]):
    """A task with the reply that came for it: always verified as to sender, never yet as to content."""

    task: Task[S]
    outcome: Answered[Any]

    @property
    def reply(self) -> Any:
        """The parsed ``S.Reply``."""
        return self.outcome.reply

    @property
    def elapsed(self) -> float:
        """Seconds from sending to the last byte."""
        return self.outcome.elapsed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one audited answer is worth: ``value`` in [0, 1]; ``caught`` marks proof of cheating, not mere failure.

    ``None`` as value means the validator could not judge (own engine failed, evidence too thin): no score.
    ``suspicion`` is how near the evidence is to proof, from 0 to 1: the next answers are audited with that chance.
    ``spell`` is for how many rounds evidence had been gathering before it was proof: a penalty lasts no shorter.
    """

    value: float | None
    reason: str
    caught: bool = False
    evidence: Mapping[str, float] = field(default_factory=dict)
    suspicion: float = 0.0
    spell: int = 0


class Memory(Protocol):
    """A subnet's own state in the validator's database, keyed by hotkey; values are JSON."""

    def get(self, hotkey: str, key: str) -> Any:
        """The stored value; None if there is none."""
        ...

    def put(self, hotkey: str, key: str, value: Any) -> None:
        """Store a JSON value; durable with the round."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What the process around a subnet or miner gives it.

    A miner's ``dendrite`` and ``peers`` let it call others under its own hotkey (mixtures, and relays).
    """

    netuid: int
    hotkey: str
    settings: SubnetSettings
    engine: EngineClient | None = None
    memory: Memory | None = None
    dendrite: Dendrite | None = None
    peers: Callable[[], Sequence[Peer]] = tuple
    model: str | None = None
    """The served engine model a miner uses; None is the engine's only or first one of the kind."""


class Miner(ABC, Generic[S]):
    """How requests are answered. Replace it with ``--miner package.module:Class``; no fork is needed."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def answer(self, request: S, caller: Caller) -> Answering:
        """Answer one admitted request; ``caller`` is the verified sender.

        ``async def`` as a rule; an async generator streams; a plain ``def`` that blocks runs in a thread
        (docs/handlers.md).
        """

    def further(self) -> Mapping[type[Synapse], Handler[Any]]:
        """Handlers of further synapses, where a subnet's audit asks a miner back; none by default."""
        return {}


@dataclass(frozen=True, slots=True)
class Cheat:
    """A dishonest miner that a subnet ships to be tested against.

    ``kind`` bounds what it may earn of an honest miner's emission: ``relay`` and ``free`` at most 1/50, ``cheaper``
    (less work than was asked) at most 1/5. ``model`` names the served engine model it uses instead of the honest one.
    """

    miner: type[Miner[Any]]
    kind: Literal["relay", "free", "cheaper"]
    model: str | None = None


class Subnet(ABC, Generic[S]):
    """One subnet: the validator's half and the name of the default miner."""

    name: ClassVar[str]
    synapse: ClassVar[type[Synapse]]
    Settings: ClassVar[type[SubnetSettings]] = SubnetSettings
    engine: ClassVar[EngineNeed | None] = None
    miner: ClassVar[type[Miner[Any]]]
    binds_answers: ClassVar[bool] = True
    """Whether an answer carries noise bound to both hotkeys (`bound_seed`); if not, only the door stops relays."""
    weaker: ClassVar[tuple[type[Miner[Any]], str] | None] = None
    """An honest miner with a weaker served model, where the subnet leaves the model free."""
    cheats: ClassVar[Mapping[str, Cheat]] = {}

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def tasks(self, round: Round) -> Iterable[Task[S]]:
        """The tasks of a round, for every peer, seeded by ``round.seed(peer.hotkey, k)`` only."""

    @abstractmethod
    async def score(self, round: Round, answers: Sequence[Answer[S]]) -> Sequence[Verdict]:
        """Judge the audited answers, one verdict for each in the same order.

        Raising while reading a miner's bytes costs that miner (value 0); the framework calls again one by one.
        Raise `EngineError` when the validator's own engine failed: nobody is scored then.
        """

    async def ready(self) -> None:
        """Asked before a validator starts, with its settings and its engine: raise `EngineError` where it cannot judge.

        By default whatever meets ``engine`` will do.
        """

    def weights(self, averages: Mapping[str, float]) -> Mapping[str, float]:
        """From moving averages by hotkey to relative weights; default: ``average ** settings.power``."""
        power = self.context.settings.power
        return {hotkey: average**power for hotkey, average in averages.items() if average > 0}


__all__ = [
    "Answer",
    "Cheat",
    "Context",
    "EngineNeed",
    "Memory",
    "Miner",
    "Outcome",
    "Peer",
    "Round",
    "Subnet",
    "SubnetSettings",
    "Task",
    "Verdict",
    "bound_seed",
]
