"""Records that strangers wrote: whatever they hold, they become a model or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.chain.subtensor import decode
from ranvier.chain.subtensor.decode import axon, text

NUMBERS = st.integers(0, 2**128 - 1)


@given(st.one_of(st.text(), st.binary(), st.lists(st.integers(0, 255)), st.none(), st.just("0xzz")))
def test_a_name_can_be_printed(value: object) -> None:
    found = text(value)
    assert found.isprintable()
    assert "\x1b" not in found


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (list(b"sn"), "sn"),
        (b"sn", "sn"),
        ("0x736e", "sn"),
        ("sn", "sn"),
        ("0xsn", "0xsn"),
        ("\x1b[2Js", "[2Js"),
    ],
)
def test_names_in_every_form(value: object, name: str) -> None:
    assert text(value) == name


@given(NUMBERS, st.integers(0, 65535), st.integers(0, 255))
def test_an_axon_is_an_address_or_nothing(ip: int, port: int, kind: int) -> None:
    found = axon({"ip": ip, "port": port, "ip_type": kind, "version": 1, "block": 2})
    assert (found is None) == (ip == 0 or port == 0)
    if found is not None:
        assert (found.port, ":" in found.ip) == (port, kind == 6 or ip >= 1 << 32)


def test_a_chain_that_does_not_know_yuma_3_does_not_run_it() -> None:
    assert not decode.hyperparameters({"tempo": 5, "yuma3": None, "alpha_values": None}).yuma3
    found = decode.hyperparameters({"yuma3": True, "liquid_alpha": True, "alpha_values": (1638, 60000)})
    assert (found.yuma3, found.alpha_low, found.alpha_high) == (True, 1638, 60000)
