"""The epoch against every recorded vector, bit for bit; liquid alpha and traces of floats within 1e-3."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranvier.chain.emission import block_emission
from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.epoch_result import EpochResult
from ranvier.chain.fixed import ONE, U16_MAX
from ranvier.chain.median import weighted_median
from ranvier.chain.sparse import SparseRows
from ranvier.chain.yuma import epoch

VECTORS = json.loads((Path(__file__).parent / "data" / "yuma_vectors.json").read_text())
CASES = VECTORS["epoch_cases"]
VARIANT = {"2024la": "2024"}
"""Liquid alpha of 2024-07 is a setting of the 2024 rules here, not a variant."""
RENAMED = {"steepness": "alpha_sigmoid_steepness"}
TRACES = {
    "preranks": None,
    "ranks": None,
    "consensus": "consensus",
    "validator_trust": "validator_trust",
    "trust": "trust",
    "incentive": "incentive",
    "dividends": "dividends",
}
EMISSION = 1_000_000_000
HEEDED = {
    "block",
    "last_update",
    "registered",
    "stake",
    "weights",
    "weights_rule",
    "permit_override",
    "reset",
}
HEEDED |= {"repeat", "expect", "expect_bonds", "note"}


def weights_of(step: dict[str, Any], n: int) -> SparseRows:
    if "weights_rule" not in step:
        return SparseRows.from_dict(
            {int(row): dict(map(tuple, entries)) for row, entries in step["weights"].items()}
        )
    rule = step["weights_rule"]
    voters = set(rule["validators"])
    servers = [uid for uid in range(n) if uid not in voters]
    rows = {uid: dict.fromkeys(servers, rule["value"]) for uid in sorted(voters)}
    if rule["server_self"]:
        rows |= {uid: {uid: U16_MAX} for uid in servers}
    return SparseRows.from_dict(rows)


def expand(value: Any, voters: set[int], n: int) -> list[int | None]:
    if isinstance(value, dict):
        return [value["validator" if uid in voters else "server"] for uid in range(n)]
    return list(value)


def check_step(step: dict[str, Any], got: EpochResult, n: int) -> int:
    voters = set(step.get("weights_rule", {}).get("validators", ()))
    compared = 0
    bonds = got.bonds.to_dict()
    for key, value in step["expect"].items():
        if key == "bond_entries":
            for row, column, stored in value:
                assert bonds.get(row, {}).get(column, 0) == stored, (row, column)
            compared += len(value)
            continue
        if key in TRACES or key == "combined_emission_norm":
            name = TRACES.get(key)
            if name is None:
                continue
            for want, have in zip(value, getattr(got, name), strict=True):
                assert want is None or abs(want - have / U16_MAX) <= 1 / U16_MAX, key
            continue
        if key in FLOATS:
            compared += FLOATS[key](value, got, bonds)
            continue
        name = {"new_permit": "permits"}.get(key, key.removesuffix("_u16"))
        have = getattr(got, name)
        for uid, want in enumerate(expand(value, voters, n)):
            assert want is None or have[uid] == want, (key, uid, have[uid], want)
            compared += want is not None
    return compared + check_bonds(step, bonds, voters, n)


def bonds_float_cols(want: dict[str, Any], got: EpochResult, bonds: dict[int, dict[int, int]]) -> int:
    for row, values in enumerate(want["rows"]):
        for column, value in enumerate(values, start=want["first_col"]):
            have = bonds.get(row, {}).get(column, 0) / U16_MAX
            assert abs(have - value) <= want["tol"], (row, column, have, value)
    return sum(map(len, want["rows"]))


def dividends_float(want: dict[str, Any], got: EpochResult, bonds: dict[int, dict[int, int]]) -> int:
    for uid, value in enumerate(want["values"]):
        assert abs(got.dividends[uid] / U16_MAX - value) <= want["tol"], (uid, got.dividends[uid], value)
    return len(want["values"])


def server_emission_equal(want: list[int], got: EpochResult, bonds: dict[int, dict[int, int]]) -> int:
    paid = {got.server_emission[uid] for uid in want}
    assert len(paid) == 1
    assert paid != {0}
    return len(want)


FLOATS = {
    "bonds_float_cols": bonds_float_cols,
    "dividends_float": dividends_float,
    "server_emission_equal": server_emission_equal,
}


def check_bonds(step: dict[str, Any], bonds: dict[int, dict[int, int]], voters: set[int], n: int) -> int:
    rule = step.get("expect_bonds")
    if rule is None:
        return 0
    for row in range(n):
        for column in range(n):
            if row not in voters:
                want = rule["server_to_any"]
            else:
                want = rule["validator_to_validator" if column in voters else "validator_to_server"]
            assert bonds.get(row, {}).get(column, 0) == want, (row, column)
    return n * n


@pytest.mark.parametrize("case", CASES, ids=[f"{case['name']}-{case['variant']}" for case in CASES])
def test_every_vector_bit_for_bit(case: dict[str, Any]) -> None:
    n = case["n"]
    params = YumaParams(**{RENAMED.get(name, name): value for name, value in case["params"].items()})
    permits: tuple[bool, ...] = (False,) * n
    bonds, last_step, compared = SparseRows.empty(), 0, 0
    for step in case["steps"]:
        if step.get("reset"):
            permits, bonds, last_step = (False,) * n, SparseRows.empty(), 0
        permits = tuple(step.get("permit_override") or permits)
        given = EpochInput(
            variant=VARIANT.get(case["variant"], case["variant"]),
            block=step["block"],
            last_update=step["last_update"],
            registered_at=step["registered"],
            stake=step["stake"],
            permits=permits,
            weights=weights_of(step, n),
            bonds=bonds,
            emission=EMISSION,
            params=params,
            last_step=last_step,
        )
        for _ in range(step.get("repeat", 1)):
            result = epoch(replace(given, permits=permits, bonds=bonds))
            permits, bonds, last_step = result.permits, result.bonds, step["block"]
            compared += check_step(step, result, n)
    assert compared > 0


def test_the_file_holds_the_cases_we_claim() -> None:
    assert Counter(case["variant"] for case in CASES) == {"2024": 18, "2024la": 1, "y2": 15, "y3": 5}
    keys = {key for case in CASES for step in case["steps"] for key in step}
    assert not keys - HEEDED, "a key of the vectors that this test does not read"


@pytest.mark.parametrize("row", VECTORS["block_emission_by_issuance"]["rows"])
def test_block_emission_halves_with_issuance(row: list[int]) -> None:
    assert block_emission(row[0]) == row[1]


def bits(values: list[float]) -> np.ndarray:
    return np.array([int(value * ONE) for value in values], dtype=np.uint64)


@pytest.mark.parametrize("case", VECTORS["weighted_median"])
def test_weighted_median_vectors(case: dict[str, Any]) -> None:
    got = weighted_median(bits(case["stake"]), bits(case["score"])[:, None], int(case["majority"] * ONE))
    assert abs(int(got[0]) - int(case["expect"] * ONE)) <= 1


@pytest.mark.parametrize("case", VECTORS["weighted_median_col"])
def test_weighted_median_of_columns_vectors(case: dict[str, Any]) -> None:
    scores = np.array([bits(row) for row in case["weights"]])
    got = weighted_median(bits(case["stake"]), scores, int(case["kappa"] * ONE))
    assert got.tolist() == bits(case["expect"]).tolist()
