"""Answers that are written together: new ones join while others go on, and each leaves when it is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from ranvier.engines.errors import NoRoom
from ranvier.engines.models import Generation, TextRequest
from ranvier.engines.text.network import Decoding, Network
from ranvier.engines.text.row import Row

CHUNK: Final = 256
"""Prompt tokens that are read between two steps of those who write already: a long prompt holds nobody up."""
IDLE_CHUNK: Final = 4096
"""The same while nobody writes; it bounds the memory of one reading."""
WASTE: Final = 1.25
"""Computed positions for each token when prompts are read together; attention sees none of the padding."""
LETTERS: Final = 16
"""Characters for each token of the context; what is longer is refused unread."""
OnToken = Callable[[Any, int, str], bool]


class Writing:
    """A batch without an end. Blocking; owned by one thread.

    ``on_token(key, token, piece of text)`` is called for each token; False cancels that answer. ``room`` is how many
    tokens may be held at once, prompts and answers at their longest, padding included; None is no bound.
    """

    def __init__(self, network: Network, on_token: OnToken | None = None, *, room: int | None = None) -> None:
        self._network, self._on_token, self._room = network, on_token, room
        self._live: list[Row] = []
        self._decoding: Decoding | None = None
        self._unread: deque[Row] = deque()
        self._taken: list[Row] = []
        """Rows whose prompts are being read."""
        self._reading: tuple[Row, Decoding] | None = None
        """A long prompt of which a part is read."""

    @property
    def size(self) -> int:
        """Answers that are written or wait to be."""
        return len(self._live) + len(self._unread) + (self._reading is not None)

    def join(self, key: Any, request: TextRequest) -> None:
        """Begin one more with the next step. Raises ValueError for what never fits, `NoRoom` for what does not now."""
        context = self._network.context
        letters = sum(len(turn.content) for turn in request.messages)
        if letters > LETTERS * context:
            raise ValueError(f"{letters} characters do not fit into a context of {context} tokens")
        row = Row(key, request, self._network.encode(request.messages))
        needed = len(row.prompt) + request.sampling.max_tokens
        if needed > context:
            raise ValueError(f"{needed} tokens do not fit into a context of {context}")
        self._check_room(needed)
        self._unread.append(row)

    def _check_room(self, needed: int) -> None:
        """Rows are as wide as the widest, so that one long answer makes room for all others dearer, too."""
        if self._room is None:
            return
        if needed > self._room:
            raise ValueError(f"{needed} tokens do not fit into the {self._room} that memory has room for")
        rows = [*self._live, *self._unread, *([self._reading[0]] if self._reading else [])]
        widest = max([row.longest for row in rows], default=0)
        if max(widest, needed) * (len(rows) + 1) > self._room:
            raise NoRoom(needed, max(self._room - widest * len(rows), 0))

    def step(self) -> list[tuple[Any, Generation | NoRoom]]:
        """Some of the prompts, and one token for each; those that end with it, by key: answered, or out of memory.

        Prompts come first: a newcomer's first token does not wait for those who have theirs.
        """
        return [*self._prompts(), *self._leave(), *self._tokens(), *self._leave()]

    def _prompts(self) -> list[tuple[Any, Generation | NoRoom]]:
        try:
            with self._network.memory(CHUNK):
                self._admit(*self._read())
        except NoRoom as lack:
            return self._turn_away(lack)
        return []

    def _tokens(self) -> list[tuple[Any, Generation | NoRoom]]:
        if not self._live:
            return []
        assert self._decoding is not None
        try:
            with self._network.memory(len(self._live)):
                self._network.step(self._decoding, [row.token_ids[-1] for row in self._live])
        except NoRoom as lack:
            return self._retreat(lack)
        self._advance(self._live, self._decoding)
        return []

    def _retreat(self, lack: NoRoom) -> list[tuple[Any, Generation | NoRoom]]:
        """Memory ran out between two layers: the widest row goes, all others are read again from what they know."""
        widest = max(self._live, key=lambda row: len(row.known))
        self._unread.extendleft(row for row in reversed(self._live) if row is not widest)
        self._live, self._decoding = [], None
        return [(widest.key, lack)]

    def _turn_away(self, lack: NoRoom) -> list[tuple[Any, Generation | NoRoom]]:
        """The rows whose prompts were being read; those that write are untouched."""
        gone, self._taken, self._reading = self._taken, [], None
        return [(row.key, lack) for row in gone]

    def _admit(self, newcomers: list[Row], decoding: Decoding | None) -> None:
        if decoding is None:
            return
        if self._decoding is None or not self._live:
            self._decoding = decoding
        else:
            self._network.join(self._decoding, decoding)
        self._live += newcomers
        self._taken = []
        self._advance(newcomers, decoding)

    def _read(self) -> tuple[list[Row], Decoding | None]:
        """Rows whose prompts are read now, and their logits."""
        budget = CHUNK if self._live else IDLE_CHUNK
        if self._reading is None and self._unread and len(self._unread[0].known) > budget:
            row = self._unread.popleft()
            self._taken = [row]
            self._reading = row, self._network.start([row.known[:budget]])
            return [], None
        if self._reading is not None:
            row, decoding = self._reading
            read = decoding.lengths[0]
            self._network.extend(decoding, row.known[read : read + budget])
            if decoding.lengths[0] < len(row.known):
                return [], None
            self._reading = None
            return [row], decoding
        self._take_alike(budget)
        return self._taken, self._network.start([row.known for row in self._taken]) if self._taken else None

    def _take_alike(self, budget: int) -> None:
        """The first that waits, and others of nearly its length: padding is computed, too."""
        self._taken = []
        for row in list(self._unread):
            together = [*self._taken, row]
            tokens = sum(len(one.known) for one in together)
            if not self._taken or tokens * WASTE >= _padded(together) <= budget:
                self._taken = together
                self._unread.remove(row)

    def _advance(self, rows: list[Row], decoding: Decoding) -> None:
        for row, logits in zip(rows, decoding.logits, strict=True):
            token = row.advance(logits, self._network.end_ids)
            if self._on_token is None and not row.request.sampling.stop:
                continue
            piece = row.speak(self._network)
            if self._on_token is not None and not self._on_token(row.key, token, piece):
                row.finish = "cancelled"

    def _leave(self) -> list[tuple[Any, Generation | NoRoom]]:
        done = [row for row in self._live if row.finish is not None]
        if done:
            going = [place for place, row in enumerate(self._live) if row.finish is None]
            self._live = [self._live[place] for place in going]
            if not going:
                self._decoding = None
            else:
                assert self._decoding is not None
                self._network.keep(self._decoding, going)
        return [(row.key, row.generation(self._network)) for row in done]


def _padded(rows: list[Row]) -> int:
    return len(rows) * max(len(row.known) for row in rows)
