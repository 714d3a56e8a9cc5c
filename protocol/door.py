"""The door: which authenticated callers are admitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from ranvier.protocol.caller import Caller, Standing
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal


class Door:
    """Admits by registration, permit, minimum stake (rao), allow and deny lists; fails closed until `update`.

    ``allow`` admits whatever the chain says; ``deny`` refuses whatever the chain says and wins over ``allow``.
    """

    def __init__(
        self,
        *,
        minimum_stake: int = 0,
        require_registered: bool = True,
        require_permit: bool = False,
        allow: frozenset[str] = frozenset(),
        deny: frozenset[str] = frozenset(),
    ) -> None:
        self.minimum_stake = minimum_stake
        self.require_registered = require_registered or require_permit or minimum_stake > 0
        self.require_permit = require_permit
        self.allow, self.deny = allow, deny
        self._standings: Mapping[str, Standing] | None = None

    @classmethod
    def open(cls) -> Self:
        """A door for every authenticated caller: for local experiments."""
        return cls(require_registered=False)

    def update(self, standings: Mapping[str, Standing]) -> None:
        """Replace what is known of the subnet, by hotkey; call it at each metagraph refresh."""
        self._standings = dict(standings)

    def admit(self, hotkey: str) -> Caller:
        """The caller, or `Refusal` with the reason's code."""
        if hotkey in self.deny:
            raise Refusal(Code.DENIED, "denied by this axon")
        standing = (self._standings or {}).get(hotkey)
        caller = _caller(hotkey, standing)
        if hotkey not in self.allow and self.require_registered:
            self._check(standing)
        return caller

    def _check(self, standing: Standing | None) -> None:
        if self._standings is None:
            raise Refusal(Code.NOT_READY, "the metagraph is not known yet", retry_after=5.0)
        if standing is None:
            raise Refusal(Code.NOT_REGISTERED, "not registered on this subnet")
        if self.require_permit and not standing.validator_permit:
            raise Refusal(Code.NO_PERMIT, "a validator permit is required")
        if standing.stake < self.minimum_stake:
            raise Refusal(Code.LOW_STAKE, "more stake is required")


def _caller(hotkey: str, standing: Standing | None) -> Caller:
    if standing is None:
        return Caller(hotkey)
    return Caller(hotkey, standing.uid, standing.stake, standing.validator_permit)
