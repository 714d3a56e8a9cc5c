"""Cases: what is asked, how, of whom, and the bars that Ranvier's lane must keep."""

from __future__ import annotations

from dataclasses import dataclass, field

KB = 1 << 10
MB = 1 << 20


@dataclass(frozen=True)
class Lane:
    """A server and a client that are measured together, in turn with the other lanes of a case."""

    label: str
    server: str
    """The module that serves; ``official`` runs in an environment of its own."""
    client: str
    kind: str
    """What the client's module calls this way of asking."""
    share: float = 1.0
    """Of the case's requests: slow lanes need fewer for the same time."""

    @property
    def peers(self) -> frozenset[str]:
        """The modules that take part."""
        return frozenset({self.server, self.client})


@dataclass(frozen=True)
class Case:
    """One block of the table."""

    key: str
    """For ``--only``."""
    title: str
    lanes: tuple[Lane, ...]
    bars: dict[str, float] = field(default_factory=dict)
    """By the label of the lane that ours is compared with: our time is at most this multiple of its."""
    size: int = KB
    """Bytes of text or of numbers, in each direction."""
    axons: int = 1
    at_once: int = 1
    weight: float = 1.0
    """Requests in a turn, as a multiple of ``--requests``."""


BARE, HANDMADE, OFFICIAL, OURS = "bare aiohttp", "hand-written", "official 10.5.0", "Ranvier"
_FOUR = tuple(
    Lane(label, module, module, "echo", share)
    for label, module, share in (
        (BARE, "bare", 1.0),
        (HANDMADE, "handmade", 1.0),
        (OFFICIAL, "official", 0.08),
        (OURS, "ours", 1.0),
    )
)
_ISSUE = {BARE: 2.3, HANDMADE: 1.3, OFFICIAL: 1 / 20}

CASES = (
    Case("sequential", "1 KB, one after another", _FOUR, {BARE: 1.6}),
    Case("concurrent", "1 KB, 64 at once", _FOUR, _ISSUE, at_once=64, weight=1.6),
    Case("fanout", "1 KB, to 32 axons in one process at once", _FOUR, _ISSUE, axons=32, weight=1.6),
    Case("text", "1 MB of text as JSON", _FOUR, {BARE: 0.8}, size=MB, weight=0.05),
    Case(
        "frame",
        "1 MB of float32 numbers",
        (
            Lane("bare aiohttp, base64 in JSON", "bare", "bare", "base64"),
            Lane("bare aiohttp, list in JSON", "bare", "bare", "list", 0.1),
            Lane("bare aiohttp, as much text", "bare", "bare", "echo"),
            Lane("hand-written, base64 in JSON", "handmade", "handmade", "base64"),
            Lane("official 10.5.0, bt.Tensor", "official", "official", "tensor", 0.2),
            Lane(OURS, "ours", "ours", "frame"),
        ),
        {"bare aiohttp, base64 in JSON": 0.45},
        size=MB,
        weight=0.05,
    ),
    Case(
        "stream",
        "1 KB of text in 64 pieces",
        (
            Lane(BARE, "bare", "bare", "stream"),
            Lane(HANDMADE, "handmade", "handmade", "stream"),
            Lane(OFFICIAL, "official", "official", "stream", 0.1),
            Lane(OURS, "ours", "ours", "stream"),
        ),
        weight=0.25,
    ),
    Case(
        "sealed",
        "1 KB sealed, one after another",
        (
            Lane("bare aiohttp, in clear", "bare", "bare", "echo"),
            Lane("Ranvier, in clear", "ours", "ours", "echo"),
            Lane("Ranvier, sealed", "ours", "ours", "sealed"),
        ),
    ),
    Case(
        "legacy",
        "1 KB over the 10.x wire",
        (
            Lane(OFFICIAL, "official", "official", "echo"),
            Lane("official dendrite, Ranvier axon", "ours", "official", "echo"),
            Lane("Ranvier dendrite, official axon", "official", "ours", "legacy"),
            Lane(OURS, "ours", "ours", "legacy"),
        ),
        weight=0.08,
    ),
)
