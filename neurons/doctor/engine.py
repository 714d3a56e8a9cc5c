"""The engine that a node works with."""

from __future__ import annotations

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineError, EngineUnfit, EngineUnreachable
from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn
from ranvier.neurons.doctor.plugin import tried


async def engine(case: Case) -> Finding:
    """The engine answers and has the model loaded that the subnet needs, with the features it needs."""
    assert case.plugin is not None
    need, endpoint = case.plugin.kind, case.settings.engine
    if not need and not endpoint:
        return ok("engine", f"subnet {case.plugin.subnet} needs none")
    if not need:
        return warn(
            "engine", f"{endpoint} is named, and subnet {case.plugin.subnet} needs none", "leave it out"
        )
    if not endpoint:
        step = f"start one, `ranvier engine --model {need}=NAME`, and name it with --engine"
        return fail("engine", f"none is named, and subnet {case.plugin.subnet} needs one for {need}", step)
    model = case.settings.model if isinstance(case.settings, MinerSettings) else ""
    try:
        async with EngineClient(endpoint) as client:
            found = await client.require(need, case.plugin.features, model or None)
    except EngineUnfit as error:
        step = "name a model that it serves, or start it with the one that is needed: `ranvier models` lists them"
        return fail("engine", str(error), step)
    except EngineUnreachable as error:
        step = "start it (`ranvier engine`), or correct --engine"
        return fail("engine", f"{endpoint} does not answer: {error.cause}", step)
    except EngineError as error:
        return fail("engine", str(error), "start it (`ranvier engine`), or correct --engine")
    lack = "" if case.is_miner else await _lack(case)
    if lack:
        return fail(
            "engine",
            lack,
            "start the engine with what it lacks; a validator of this subnet does not run without",
        )
    return ok("engine", f"{endpoint} serves {need}={found.id}")


async def _lack(case: Case) -> str:
    """Why a validator could not judge with its engine; empty where it could."""
    settings = case.settings
    asked = {
        "call": "judge",
        "subnet": settings.subnet,
        "settings": settings.settings,
        "netuid": settings.netuid,
        "endpoint": settings.engine,
    }
    found = await tried(asked)
    return f"asking whether it could judge {found}" if isinstance(found, str) else found.get("error", "")
