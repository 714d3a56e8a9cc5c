"""The engine that a node works with."""

from __future__ import annotations

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineError, EngineUnfit, EngineUnreachable
from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn


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
    return ok("engine", f"{endpoint} serves {need}={found.id}")
