"""What our axon says to a 10.x caller. Nothing is signed: that wire's axon signs for strangers, ours does not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel
from pydantic_core import to_json

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.legacy.server import LegacyCall
from ranvier.protocol.legacy.signing import AXON, DENDRITE
from ranvier.protocol.legacy.values import json_values

_SAFE = re.compile(r"[0-9A-Za-z.:-]{1,64}", re.ASCII)
_GIVEN_BACK = (
    *(f"{AXON}{name}" for name in ("ip", "port", "hotkey")),
    *(f"{DENDRITE}{name}" for name in ("ip", "version", "nonce", "uuid", "hotkey")),
)
"""Headers that 10.x clients read again from a stream's head, which has no body for them."""


def legacy_response(call: LegacyCall, reply: BaseModel, seconds: float) -> web.Response:
    """200: the synapse with its request's and its reply's fields, in the caller's envelope.

    Raises ValueError for a tensor that 10.x cannot hold. ``seconds`` is what the answer took.
    """
    asked = json_values(call.synapse, torch=call.torch)
    whole = {**call.envelope, **asked, **json_values(reply, torch=call.torch)}
    headers = {**_succeeded(call), f"{AXON}process_time": f"{seconds:.6f}"}
    return web.Response(body=to_json(whole), content_type="application/json", headers=headers)


def stream_headers(call: LegacyCall, asked: Mapping[str, str]) -> dict[str, str]:
    """The head of a stream; ``asked`` are the request's headers."""
    back = {name: asked[name] for name in _GIVEN_BACK if _SAFE.fullmatch(asked.get(name, ""))}
    sizes = {"timeout": str(call.deadline), "header_size": "0", "total_size": "0"}
    return {**back, **sizes, **_succeeded(call), "Content-Type": "text/event-stream"}


def legacy_refusal(refusal: Refusal) -> web.Response:
    """A refusal as 10.x clients read it."""
    text = f"{refusal.code.value}: {refusal.detail}"[:200]
    # A handler chose the words: in a header, none of them may end the line or be more than ASCII.
    shown = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    headers = {f"{AXON}status_code": str(refusal.code.status), f"{AXON}status_message": shown}
    if refusal.retry_after is not None:
        headers["Retry-After"] = f"{max(1, round(refusal.retry_after))}"
    body = to_json({"message": text})
    response = web.Response(
        body=body, status=refusal.code.status, headers=headers, content_type="application/json"
    )
    if refusal.code in (Code.TOO_LARGE, Code.DEADLINE):
        response.force_close()
    return response


def _succeeded(call: LegacyCall) -> dict[str, str]:
    return {
        "name": type(call.synapse).__name__,
        f"{AXON}status_code": "200",
        f"{AXON}status_message": "Success",
    }
