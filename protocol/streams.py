"""Streams: one JSON frame a line, chained by hash from the request's digest, closed by a signed trailer in the body.

Frames: ``{"piece": text}``, then one ``{"reply": {...}}`` or ``{"refusal": {...}}``, then ``{"signature": "0x..."}``.
In a sealed stream each line is a sealed frame; the chain takes in lines as they travel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel
from pydantic_core import to_json

from ranvier.protocol.btauth import Signed
from ranvier.protocol.codec import SEALED, fault
from ranvier.protocol.errors import InvalidReply, Refusal
from ranvier.protocol.keys import Keypair, sign
from ranvier.protocol.replies import FrameChain, check, stream_payload
from ranvier.protocol.seal import Session
from ranvier.protocol.text import MAX_VALUES, read_values

STREAM_TYPE: Final = "application/x-ranvier-stream"


class StreamWriter:
    """The axon's side of one stream."""

    def __init__(self, key: Keypair, signed: Signed, session: Session | None = None) -> None:
        self._key, self._signed, self._session = key, signed, session
        self._chain = FrameChain(signed.digest)
        self._sealed = 0
        content_type = STREAM_TYPE if session is None else STREAM_TYPE + SEALED
        self._response = web.StreamResponse(headers={"Content-Type": content_type})
        self.ending = "cut"

    async def open(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send the head."""
        await self._response.prepare(request)
        return self._response

    async def write(self, item: str | BaseModel) -> None:
        """Send a piece of text, or the reply that ends the stream."""
        if isinstance(item, str):
            await self._frame({"piece": item})
            return
        await self._frame({"reply": item.model_dump(mode="json")})
        await self._close("answered")

    async def refuse(self, refusal: Refusal) -> None:
        """End a stream that cannot be finished."""
        if self.ending == "cut":
            await self._frame({"refusal": {"code": refusal.code.value, "detail": refusal.detail[:200]}})
            await self._close(refusal.code.value)

    async def _close(self, ending: str) -> None:
        message = stream_payload(self._signed.digest, self._key.ss58_address, self._chain.value)
        await self._frame({"signature": "0x" + sign(self._key, message).hex()})
        self.ending = ending
        await self._response.write_eof()

    async def _frame(self, content: dict[str, Any]) -> None:
        line = to_json(content)
        if self._session is not None:
            line = self._session.seal_frame(self._sealed, line)
            self._sealed += 1
        self._chain.add(line)
        await self._response.write(line + b"\n")


@dataclass
class StreamReader:
    """The dendrite's side: takes lines, hands out pieces, believes nothing before the trailer held."""

    hotkey: str
    digest: bytes
    session: Session | None = None
    most: int = MAX_VALUES
    """JSON values in one line."""
    reply: dict[str, Any] | None = None
    refusal: dict[str, Any] | None = None
    finished: bool = False

    def __post_init__(self) -> None:
        self._chain = FrameChain(self.digest)
        self._opened = 0

    def take(self, line: bytes) -> str | None:
        """Read one line; a piece of text, or None for the frames that end the stream. Raises `InvalidReply`."""
        try:
            frame = read_values(self._open(line), most=self.most)
        except ValueError as error:
            raise InvalidReply(f"a stream frame is not JSON that is read: {fault(error)}") from error
        if self.finished or not isinstance(frame, dict) or len(frame) != 1:
            raise InvalidReply("a stream frame is out of place")
        if "signature" in frame:
            self._finish(frame["signature"])
            return None
        self._chain.add(line)
        return self._content(frame)

    def _open(self, line: bytes) -> bytes:
        if self.session is None:
            return line
        self._opened += 1
        return self.session.open_frame(self._opened - 1, line)

    def _content(self, frame: dict[str, Any]) -> str | None:
        if self.reply is not None or self.refusal is not None:
            raise InvalidReply("a stream goes on after its end")
        (kind, value), *_ = frame.items()
        if kind == "piece" and isinstance(value, str):
            return value
        if kind == "reply" and isinstance(value, dict):
            self.reply = value
        elif kind == "refusal" and isinstance(value, dict):
            self.refusal = value
        else:
            raise InvalidReply("a stream frame is of no known kind")
        return None

    def _finish(self, signature: object) -> None:
        if self.reply is None and self.refusal is None:
            raise InvalidReply("a stream is signed before its end")
        check(str(signature), stream_payload(self.digest, self.hotkey, self._chain.value), self.hotkey)
        self.finished = True
