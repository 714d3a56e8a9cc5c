"""A request of ours to a 10.x axon, and what its answer means. Nothing proves the answer: the outcome says so."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json

from ranvier.protocol.caller import Target
from ranvier.protocol.codec import fault
from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.keys import Keypair, sign
from ranvier.protocol.legacy.signing import AXON, BODY_HASH, DENDRITE, INPUT, VERSION, body_hash, message
from ranvier.protocol.legacy.values import TORCH, json_values, read_values
from ranvier.protocol.outcome import Answered, Invalid, Outcome, Refused
from ranvier.protocol.synapse import Synapse
from ranvier.protocol.tensor import Tensor
from ranvier.protocol.text import read_values as read_json

SESSION: Final = str(uuid.uuid4())
"""One for each process, as the original has one for each dendrite."""


def legacy_request(
    key: Keypair, target: Target, request: Synapse, deadline: float, nonce: int
) -> tuple[dict[str, str], bytes]:
    """Headers and body. Raises `SigningError`, and ValueError for a tensor that 10.x cannot hold."""
    torch = type(request).legacy_torch
    hashed = body_hash(request, torch=torch)
    signed = message(str(nonce), key.ss58_address, target.hotkey, SESSION, hashed)
    dendrite = {
        "version": str(VERSION),
        "nonce": str(nonce),
        "uuid": SESSION,
        "hotkey": key.ss58_address,
        "signature": "0x" + sign(key, signed).hex(),
    }
    axon = {"ip": target.host, "port": str(target.port), "hotkey": target.hotkey}
    name = type(request).__name__
    own = json_values(request, torch=torch)
    headers = {
        "name": name,
        "timeout": str(float(deadline)),
        **{f"{AXON}{field}": value for field, value in axon.items()},
        **{f"{DENDRITE}{field}": value for field, value in dendrite.items()},
        **_dummies(request, own),
        "header_size": "0",
        "total_size": "0",
        BODY_HASH: hashed,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }
    body = {"name": name, "timeout": deadline, "total_size": 0, "header_size": 0, BODY_HASH: "", **own}
    return headers, to_json({**body, "dendrite": dendrite, "axon": axon})


def _dummies(request: Synapse, own: Mapping[str, Any]) -> dict[str, str]:
    """The 10.x axon builds a synapse from headers first: for required fields it wants some value of their type."""
    return {
        f"{INPUT}{name}": base64.b64encode(to_json(_dummy(getattr(request, name), own[name]))).decode()
        for name, field in type(request).model_fields.items()
        if field.is_required() and own[name] is not None
    }


def _dummy(value: object, written: Any) -> Any:
    """An empty value where the type has one. The original has none for models and tensors: those it cannot send."""
    if isinstance(value, Tensor):
        named = f"{TORCH}float32" if written["dtype"].startswith(TORCH) else "float32"
        return {"buffer": "", "dtype": named, "shape": [0]}
    return written if isinstance(value, BaseModel) else type(written)()


def legacy_outcome(
    target: Target, elapsed: float, request: Synapse, status: int, headers: Mapping[str, str], body: bytes
) -> Outcome[Any]:
    """What a 10.x axon's response means. Raises `InvalidReply` for one that cannot be read."""
    try:
        content = read_json(body, most=type(request).max_values)
    except ValueError as error:
        raise InvalidReply(f"status {status} without JSON that can be read: {fault(error)}") from error
    if not isinstance(content, dict):
        raise InvalidReply("the reply is not an object")
    shown = headers.get(f"{AXON}status_code", str(status))
    if status != 200 or shown != "200":
        detail = str(content.get("message") or headers.get(f"{AXON}status_message") or "")[:200]
        return Refused(target, elapsed, f"http-{shown[:3] if shown.isdigit() else status}", detail)
    try:
        reply, _ = read_values(type(request).Reply, content)
    except ValueError as error:
        return Invalid(
            target, elapsed, f"the reply is not what {type(request).__name__} declares: {fault(error)}"
        )
    return Answered(target, elapsed, reply, len(body), proven=False)
