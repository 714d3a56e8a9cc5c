"""Where a validator may be led: every form of an address that points into its own network, end to end."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import pytest
from hostile_miner import ALICE, BOB, Echo, Writer, hostile, raw

from ranvier.protocol import AddressPolicy, Dendrite, Target, Unreachable

LONG = 20.0

PRIVATE = [
    "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.9", "2001:db8::1", "192.88.99.1", "3fff::1", "100.100.100.200", "fd00:ec2::254", "192.0.0.192",
    "168.63.129.16", "::ffff:100.64.0.1", "2002:6440:1::", "fe80::5efe:7f00:1", "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:a00:1",
    "127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254", "10.0.0.1",
    "172.16.0.1", "192.168.1.1", "100.64.0.1", "fe80::1", "fe80::1%lo", "fc00::1", "2002:7f00:1::", "2002:a00:1::1",
]  # fmt: skip
NO_UNICAST = [
    "64:ff9b:1::7f00:1", "64:ff9b::a9fe:a9fe", "::ffff:0:127.0.0.1", "5f00::1", "100::1",
    "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::127.0.0.1", "64:ff9b::7f00:1",
    "::ffff:0.0.0.0", "2002:e000:1::",
]  # fmt: skip
NO_ADDRESS = [
    "localhost.", "127.0.0.1.", "%3127.0.0.1", "127.0.1", "0x7f.1",
    "127.1", "0177.0.0.1", "127.0.0.01", "0x7f.0.0.1", "256.1.1.1", "", " 127.0.0.1", "127.0.0.1 ", "a b", "a/b",
    "user@host", "host:80", "[::1]", "a\r\nb", "ｌocalhost", "-a", "a" * 254, "１２７.0.0.1", "http://host",
    "host?x", "host#x",
]  # fmt: skip
NAMES_OF_LOOPBACK = ["2130706433", "0x7f000001", "017700000001", "0", "localhost", "LOCALHOST"]
"""Host names by their form, which systems resolve to loopback or to nothing."""


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses(host: str) -> None:
    assert AddressPolicy.public().refusal(host)
    assert AddressPolicy.local().refusal(host) is None


@pytest.mark.parametrize("host", NO_UNICAST + NO_ADDRESS)
def test_what_no_policy_calls(host: str) -> None:
    assert AddressPolicy.public().refusal(host)
    assert AddressPolicy.local().refusal(host)


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "example.com", "a.b-c.d1"])
def test_public_forms(host: str) -> None:
    assert AddressPolicy.public().refusal(host) is None


@pytest.mark.parametrize("host", [*PRIVATE, *NO_UNICAST, *NO_ADDRESS, *NAMES_OF_LOOPBACK], ids=ascii)
async def test_a_public_dendrite_connects_to_none_of_them(host: str) -> None:
    connected: list[str] = []

    async def behave(asked: bytes, writer: Writer) -> None:
        connected.append(host)

    async with hostile(behave) as target, Dendrite(ALICE) as dendrite:
        outcome = await dendrite.ask(
            Target(target.hotkey, host, target.port), Echo(text="hello"), deadline=LONG
        )
        assert isinstance(outcome, Unreachable)
        assert connected == []


async def test_a_name_that_leads_to_loopback_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        found = ["127.0.0.1", "::1", "10.0.0.1", "::ffff:169.254.169.254"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with hostile(raw(b"")) as target, Dendrite(ALICE) as dendrite:
        outcome = await dendrite.ask(
            Target(target.hotkey, "miner.example.com", target.port), Echo(text="hello"), deadline=LONG
        )
        assert isinstance(outcome, Unreachable)
        assert re.search("no address that may be called", outcome.reason)


async def test_a_name_is_connected_to_where_it_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: a second look-up would lead elsewhere, so there must be none."""
    answers = iter([["127.0.0.1", "8.8.8.8"], ["127.0.0.1"]])
    connected: list[str] = []

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in next(answers)]

    async def connect(host: str, port: int, **_: Any) -> Any:
        connected.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio, "open_connection", connect)
    async with Dendrite(ALICE) as dendrite:
        outcome = await dendrite.ask(
            Target(BOB.ss58_address, "miner.example.com", 80), Echo(text="hello"), deadline=LONG
        )
    assert isinstance(outcome, Unreachable)
    assert connected == ["8.8.8.8"]


def test_there_are_at_least_forty_forms() -> None:
    assert len({*PRIVATE, *NO_UNICAST, *NO_ADDRESS, *NAMES_OF_LOOPBACK}) >= 40
