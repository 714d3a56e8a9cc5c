"""One check, run so that whatever it meets becomes a finding: it may hang or break without harm to the others."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ranvier.neurons.doctor.finding import Finding, fail

SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Check:
    """A check, the facts of the `Case` that it needs, and for whom it is."""

    name: str
    run: Callable[..., Any]
    """Takes the `Case` (of the machine: nothing). A coroutine function runs on the loop, another in a thread."""
    needs: tuple[str, ...] = ()
    role: str = ""
    """``miner``, ``validator``, or empty for both."""
    seconds: float = SECONDS


async def carry_out(check: Check, *case: Any) -> Sequence[Finding]:
    """The check's findings, or one that says how it failed to make any."""
    try:
        async with asyncio.timeout(check.seconds):
            if inspect.iscoroutinefunction(check.run):
                said = await check.run(*case)
            else:
                said = await _aside(check.run, *case)
    except TimeoutError:
        step = "something it looks at does not answer: a dead network folder, a firewall that drops, a busy machine"
        return [fail(check.name, f"no result within {check.seconds:g} s", step)]
    except Exception as error:  # noqa: BLE001  a broken environment breaks in ways that nobody listed; the rest must go on
        step = "look at what is named; if it is sound, report this as a fault of the doctor"
        return [fail(check.name, f"cannot be examined: {type(error).__name__}: {error}", step)]
    return said if isinstance(said, list) else [said]


async def _aside(work: Callable[..., Any], *arguments: Any) -> Any:
    """`work` in a thread that nobody waits for at the end: a file on a dead network folder never answers."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def settle(error: Exception | None, value: Any) -> None:
        if not result.done():
            result.set_exception(error) if error else result.set_result(value)

    def work_it() -> None:
        error, value = None, None
        try:
            value = work(*arguments)
        except Exception as raised:  # noqa: BLE001  it is raised again where it is awaited
            error = raised
        with contextlib.suppress(RuntimeError):  # the examination has ended without us
            loop.call_soon_threadsafe(settle, error, value)

    threading.Thread(target=work_it, name="doctor", daemon=True).start()
    return await result
