"""The numbers and the table of docs/wire.md are those of the code."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ranvier.protocol import Code, keypair_from_uri
from ranvier.protocol.btauth import payload
from ranvier.protocol.replies import FrameChain, reply_payload

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "wire.md").read_text()
BODY = b'{"text":"hi"}'


def test_the_worked_example() -> None:
    alice, bob = (keypair_from_uri(uri).ss58_address for uri in ("//Alice", "//Bob"))
    message = payload("POST", "/Echo?deadline=12000", BODY, 1_700_000_000_000_000_000, alice, bob)
    digest = hashlib.sha256(message).digest()
    chain = FrameChain(digest)
    chain.add(b'{"piece": "h"}')
    reply = reply_payload(digest, bob, 200, "application/json", BODY)
    shown = re.findall(r"`([0-9a-f]{64})`", PAGE)
    assert shown == [
        hashlib.sha256(BODY).hexdigest(),
        digest.hex(),
        hashlib.sha256(reply).hexdigest(),
        chain.value.hex(),
    ]


def test_every_code_is_listed_with_its_status() -> None:
    rows = re.findall(r"^\| (`.*?`) \| (\d{3}) \|", PAGE, re.MULTILINE)
    listed = {code: int(status) for codes, status in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert listed == {code.value: code.status for code in Code}
