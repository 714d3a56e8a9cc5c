"""Answers that are written together: new ones join while others go on, and each leaves when it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ranvier.engines.errors import NoRoom
from ranvier.engines.models import Generation, TextRequest
from ranvier.engines.text.choice import check
from ranvier.engines.text.network import Floats, Network
from ranvier.engines.text.packing import Part
from ranvier.engines.text.row import Row
from ranvier.engines.text.slots import Slots

CHUNK: Final = 256
"""Prompt tokens that are read in one pass with the next tokens of those who write: a long prompt holds nobody up."""
IDLE_CHUNK: Final = 4096
"""The same while nobody writes; it bounds the memory of one pass."""
CACHE_SHARE: Final = 0.5
"""The share of free memory for keys and values; a buffer that grows exists twice for a moment."""
OnToken = Callable[[Any, int, str], bool]
Ended = tuple[Any, Generation | NoRoom]
"""The key of an answer, and the answer, or that memory ran out."""


class Writing:
    """A batch without an end. Blocking; owned by one thread.

    ``on_token(key, token, piece of text)`` is called for each token; False cancels that answer. ``room`` is how many
    tokens may be held at once, prompts and answers at their longest; None is what memory allows, which is looked at
    whenever nobody writes.
    """

    def __init__(self, network: Network, on_token: OnToken | None = None, *, room: int | None = None) -> None:
        self._network, self._on_token, self._room = network, on_token, room
        self._rows: list[Row] = []
        self._bound = 0
        self._slots = Slots()

    @property
    def size(self) -> int:
        """Answers that are written or wait to be."""
        return len(self._rows)

    @property
    def keys(self) -> list[Any]:
        """Whose answers those are."""
        return [row.key for row in self._rows]

    def drop(self, key: Any) -> Generation:
        """End one where it is."""
        row = next(row for row in self._rows if row.key is key)
        row.finish = "cancelled"
        self._part(row)
        return row.generation(self._network)

    def join(self, key: Any, request: TextRequest) -> None:
        """Begin one more with the next step. Raises ValueError for what never fits, `NoRoom` for what does not now."""
        check(request.sampling)
        prompt = self._network.prompt(request.messages, request.sampling.max_tokens)
        self._check_room(len(prompt) + request.sampling.max_tokens)
        for row in self._rows:
            self._slots.hold(row.slot, row.known[: row.read])
        slot, read = self._slots.take(prompt)
        self._rows.append(Row(key, request, prompt, slot, read))
        if self._slots.count * max(self._slots.cache.positions, self._widest) > self._bound:
            self._compact()

    @property
    def _widest(self) -> int:
        return max((row.longest for row in self._rows), default=0)

    def _check_room(self, needed: int) -> None:
        """Slots are as wide as the widest, so that one long answer makes room for all others dearer, too."""
        if not self._rows:
            self._measure(needed)
        if self._room is not None and needed > self._room:
            raise ValueError(f"{needed} tokens do not fit into the {self._room} that memory has room for")
        if max(self._widest, needed) * (len(self._rows) + 1) > self._bound:
            raise NoRoom(needed, max(self._bound - self._widest * len(self._rows), 0))

    def _measure(self, needed: int) -> None:
        """What was kept for those who begin alike goes where it leaves too little for one who asks now."""
        self._bound = self._room or self._network.room(CACHE_SHARE)
        if needed > self._bound and self._slots.count:
            self._slots.clear()
            self._bound = self._room or self._network.room(CACHE_SHARE)

    def _compact(self) -> None:
        """Slots that others left take room that those who write now need."""
        self._slots.compact([row.slot for row in self._rows])
        for slot, row in enumerate(self._rows):
            row.slot = slot

    def step(self) -> list[Ended]:
        """One pass: some of the prompts, and a token for each who has read its own. Returns those that end with it."""
        rows, parts = self._next()
        if not parts:
            return []
        try:
            with self._network.memory(sum(len(part.tokens) for part in parts)):
                logits = self._network.read(self._slots.cache, parts)
        except NoRoom as lack:
            return self._turn_away(rows, lack)
        self._advance(rows, parts, logits)
        return self._leave()

    def _next(self) -> tuple[list[Row], list[Part]]:
        """Who takes part in a pass, with which tokens: writers one each, prompts in their order what is left."""
        budget = CHUNK if any(row.unread == 1 for row in self._rows) else IDLE_CHUNK
        rows, parts = list[Row](), list[Part]()
        for row in sorted(self._rows, key=lambda row: row.slot):  # equally long neighbours are read together
            if row.unread == 1:
                rows.append(row)
                parts.append(Part(row.slot, row.read, row.known[-1:]))
        for row in self._rows:
            if row.unread > 1 and budget > 0:
                tokens = row.known[row.read : row.read + budget]
                rows.append(row)
                parts.append(Part(row.slot, row.read, tokens, int(len(tokens) == row.unread)))
                budget -= len(tokens)
        return rows, parts

    def _turn_away(self, rows: Sequence[Row], lack: NoRoom) -> list[Ended]:
        """Memory ran out: the newest of those who read goes, or else the widest. The rest tries again.

        What a pass that broke off has stored, the next one stores again in the same places.
        """
        readers = [row for row in rows if row.unread > 1]
        gone = readers[-1] if readers else max(rows, key=lambda row: row.read)
        self._part(gone)
        if not self._rows:
            self._slots.clear()
        return [(gone.key, lack)]

    def _part(self, row: Row) -> None:
        self._rows.remove(row)
        self._slots.hold(row.slot, row.known[: row.read])
        self._slots.leave(row.slot)

    def _advance(self, rows: Sequence[Row], parts: Sequence[Part], logits: Floats) -> None:
        found = iter(logits)
        for row, part in zip(rows, parts, strict=True):
            row.read += len(part.tokens)
            if part.logits:
                self._choose(row, next(found))

    def _choose(self, row: Row, logits: Floats) -> None:
        token = row.advance(logits, self._network.end_ids)
        if self._on_token is None and not row.request.sampling.stop:
            return
        piece = row.speak(self._network)
        if self._on_token is not None and not self._on_token(row.key, token, piece):
            row.finish = "cancelled"

    def _leave(self) -> list[Ended]:
        done = [row for row in self._rows if row.finish is not None]
        for row in done:
            self._part(row)
        return [(row.key, row.generation(self._network)) for row in done]
