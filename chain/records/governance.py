"""The committee and open motions as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from ranvier.chain.calls.governance import Action
from ranvier.chain.governance import GovernanceState, Motion
from ranvier.chain.records.codec import Codec
from ranvier.chain.state import ChainState

_ACTION: Final[TypeAdapter[Action]] = TypeAdapter(Action)


def _value(state: ChainState, path: Sequence[str]) -> Any:
    return {"committee": list(state.governance.committee), "moved": state.governance.moved}


def _restore(state: ChainState, path: Sequence[str], value: Any) -> None:
    state.governance = GovernanceState(tuple(value["committee"]), value["moved"], state.governance.motions)


def _motion_value(state: ChainState, path: Sequence[str]) -> Any:
    motion = state.governance.motions.get(int(path[0]))
    if motion is None:
        return None
    return {
        "proposer": motion.proposer,
        "action": _ACTION.dump_python(motion.action, mode="json"),
        "ends": motion.ends,
        "ayes": motion.ayes,
        "nays": motion.nays,
    }


def _motion(state: ChainState, path: Sequence[str], value: Any) -> None:
    number, action = int(path[0]), _ACTION.validate_python(value.pop("action"))
    state.governance.motions[number] = Motion(number=number, action=action, **value)


CODECS = (
    Codec("governance", lambda _: ("",), _value, _restore),
    Codec("motion", lambda s: map(str, s.governance.motions), _motion_value, _motion),
)
