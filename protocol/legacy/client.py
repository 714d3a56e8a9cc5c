"""A request of ours to a 10.x axon. Nothing proves the reply: the outcome says so."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from ranvier.protocol.caller import Target
from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.keys import Keypair, sign
from ranvier.protocol.legacy.signing import AXON, BODY_HASH, DENDRITE, INPUT, VERSION, body_hash, message
from ranvier.protocol.outcome import Answered, Invalid, Outcome, Refused
from ranvier.protocol.synapse import Synapse

SESSION: Final = str(uuid.uuid4())
"""One for each process, as the original has one for each dendrite."""


def legacy_request(
    key: Keypair, target: Target, request: Synapse, deadline: float, nonce: int
) -> tuple[dict[str, str], bytes]:
    """Headers and body. Raises `SigningError`."""
    hashed = body_hash(request)
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
    own = request.model_dump(mode="json")
    headers = {
        "name": name,
        "timeout": str(float(deadline)),
        **{f"{AXON}{field}": value for field, value in axon.items()},
        **{f"{DENDRITE}{field}": value for field, value in dendrite.items()},
        **_dummies(request),
        "header_size": "0",
        "total_size": "0",
        BODY_HASH: hashed,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }
    body = {"name": name, "timeout": deadline, "total_size": 0, "header_size": 0, BODY_HASH: "", **own}
    return headers, json.dumps({**body, "dendrite": dendrite, "axon": axon}).encode()


def _dummies(request: Synapse) -> dict[str, str]:
    """The 10.x axon builds a synapse from headers first: for required fields it wants an empty value of their type."""
    found = {}
    for name, value in request.model_dump(mode="json").items():
        if type(request).model_fields[name].is_required() and value is not None:
            empty = json.dumps(type(value)())
            found[f"{INPUT}{name}"] = base64.b64encode(empty.encode()).decode()
    return found


def legacy_outcome(
    target: Target, elapsed: float, request: Synapse, status: int, headers: Mapping[str, str], body: bytes
) -> Outcome[Any]:
    """What a 10.x axon's response means. Raises `InvalidReply` for one that cannot be read."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidReply(f"status {status} without JSON") from error
    if not isinstance(content, dict):
        raise InvalidReply("the reply is not an object")
    shown = headers.get(f"{AXON}status_code", str(status))
    if status != 200 or shown != "200":
        detail = str(content.get("message") or headers.get(f"{AXON}status_message") or "")[:200]
        return Refused(target, elapsed, f"http-{shown[:3] if shown.isdigit() else status}", detail)
    reply = type(request).Reply
    own = {name: content[name] for name in reply.model_fields if name in content}
    try:
        return Answered(target, elapsed, reply.model_validate_json(json.dumps(own)), len(body), proven=False)
    except (ValidationError, ValueError) as error:
        return Invalid(
            target, elapsed, f"the reply is not what {type(request).__name__} declares: {str(error)[:120]}"
        )
