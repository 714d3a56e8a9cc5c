"""Where a miner says that it answers: what the chain shows of it, and whether anybody answers there."""

from __future__ import annotations

import ipaddress
from typing import Final

from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, skipped, warn
from ranvier.neurons.doctor.probe import Seen, Who, listening, probe

_NAME: Final = "reachable"
_PUBLISHED: Final = "published address"
_OTHER_PORT: Final = "stop what listens there, or choose another --port"
_FORWARD: Final = "open the port in the firewall, and forward it to this machine"
_ELSEWHERE: Final = "try it from another network"


async def published(case: Case) -> Finding:
    """What the chain shows of the miner's address is what is configured."""
    assert case.neuron is not None
    shown = case.neuron.axon
    if shown is None:
        return ok(_PUBLISHED, "none yet; the miner publishes it when it starts")
    host, port = _target(case)
    said = f"{shown.ip}:{shown.port}"
    if (shown.ip, shown.port if port else 0) != (_canonical(host), port):
        return warn(
            _PUBLISHED, f"{said}, and configured is {host}:{port}", "a start of the miner corrects it"
        )
    return ok(_PUBLISHED, said)


async def reach(case: Case) -> Finding:
    """The advertised address answers a child process; where no miner runs, the doctor listens meanwhile."""
    host, port = _target(case)
    problem = _unfit(host, case)
    if problem:
        step = "set `advertise` to the IP address that validators reach"
        return fail(_NAME, problem, step)
    if not port:
        return skipped(_NAME, "port 0 is chosen at the start; name one to have it probed")
    seen = await probe(host, port, case.hotkey)
    if seen.who is Who.NOBODY:
        return await _stand_in(case, host, port)
    return _judge(case, seen, f"{host}:{port}")


async def _stand_in(case: Case, host: str, port: int) -> Finding:
    """Nobody answers there: because no miner runs, or because the way is closed?"""
    settings = case.settings
    assert isinstance(settings, MinerSettings)
    inside = _inside(settings.host), settings.port or port
    async with listening(settings.host, inside[1]) as problem:
        if not problem:
            seen = await probe(host, port, case.hotkey)
            if seen.who is not Who.NOBODY:
                return _judge(case, seen, f"{host}:{port}")
            return _closed(host, port, seen.detail)
    seen = await probe(*inside, case.hotkey)
    if seen.who is Who.OURS:
        return _closed(host, port, "the miner runs, and this machine does not reach it there")
    held = "" if seen.who is Who.NOBODY else f", by {seen.who.value}"
    return fail(_NAME, f"cannot listen on {settings.host}:{inside[1]}: {problem}{held}", _OTHER_PORT)


def _judge(case: Case, seen: Seen, where: str) -> Finding:
    if seen.who is Who.OTHER_HOTKEY and case.hotkey is None:
        return ok(_NAME, f"{where}: an axon answers, whose is not known without the hotkey")
    if seen.who in (Who.OTHER, Who.OTHER_HOTKEY):
        return fail(_NAME, f"{where} is answered by {seen.who.value} ({seen.detail!r})", _OTHER_PORT)
    who = "the miner answers" if seen.who is Who.OURS else "free, and a listener there is reached"
    far = "" if case.is_private else f"; seen from this machine only: {_ELSEWHERE}"
    return ok(_NAME, f"{where}: {who}{far}")


def _closed(host: str, port: int, detail: str) -> Finding:
    said = f"{host}:{port} does not answer: {detail}"
    if ipaddress.ip_address(host).is_global:
        step = f"many routers do not send one's own calls back: {_ELSEWHERE}; else {_FORWARD}"
        return warn(_NAME, said, step)
    return fail(_NAME, said, f"{_FORWARD}, or correct `advertise`")


def _unfit(host: str, case: Case) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"advertise is {host!r}, which is no IP address"
    if address.is_unspecified:
        return f"{host} stands for all interfaces: nobody can call it"
    if case.network is not None and not case.is_private and not address.is_global:
        return f"{host} cannot be reached from the internet, and {case.network.name} is a public network"
    return ""


def _target(case: Case) -> tuple[str, int]:
    settings = case.settings
    assert isinstance(settings, MinerSettings)
    return settings.advertise or settings.host, settings.advertise_port or settings.port


def _canonical(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _inside(host: str) -> str:
    """Where this machine reaches what listens on an interface."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is looked for, not bound
