"""Errors of serving and preparing models.

EngineError
    EngineUnreachable   nobody listens at the endpoint
    EngineTimeout       no answer before the deadline
    EngineRefused       the engine turned a request away, or failed at it
    EngineUnfit         the engine lacks what is asked of it
    NoUpstream          no engine behind the front can take a request now
    WorkerFailed        a worker process did not start
    NoRoom              inside an engine: no memory for a request now
    TextTooLong         inside an engine: a text beyond what the model reads
    ModelError          a model cannot be found, fetched, checked or loaded
        ModelNotFound
        ModelUnsuited
        MissingExtra
        PrepareFailed
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of everything that `ranvier.engines` raises."""


class EngineUnreachable(EngineError):
    """No connection, or it broke."""

    def __init__(self, endpoint: str, cause: str) -> None:
        self.endpoint, self.cause = endpoint, cause
        super().__init__(f"no engine answers at {endpoint}: {cause}. Start one with `ranvier engine`")


class EngineTimeout(EngineError):
    """The engine did not answer in time."""

    def __init__(self, endpoint: str, seconds: float) -> None:
        self.endpoint, self.seconds = endpoint, seconds
        super().__init__(f"the engine at {endpoint} did not answer within {seconds:g} s")


class EngineRefused(EngineError):
    """The engine refused; ``retry_after`` (seconds) says that it may do so only for now."""

    def __init__(self, endpoint: str, status: int, reason: str, retry_after: float | None = None) -> None:
        self.endpoint, self.status, self.reason, self.retry_after = endpoint, status, reason, retry_after
        super().__init__(f"the engine at {endpoint} refused ({status}): {reason}")


class EngineUnfit(EngineError):
    """The engine serves no model of the kind, or none with the features, that a subnet needs."""

    def __init__(self, endpoint: str, reason: str) -> None:
        self.endpoint, self.reason = endpoint, reason
        super().__init__(f"the engine at {endpoint} is unfit: {reason}")


class NoUpstream(EngineError):
    """No engine that serves the model is up; callers get a refusal that says when to try again (seconds)."""

    def __init__(self, model: str, cause: str, retry_after: float = 2.0) -> None:
        self.model, self.cause, self.retry_after = model, cause, retry_after
        super().__init__(f"no engine behind this one can serve {model} now: {cause}")


class WorkerFailed(EngineError):
    """A worker process ended before it served; ``cause`` is what it said, ``kind`` the class of its error if any."""

    def __init__(self, name: str, cause: str, kind: str = "") -> None:
        self.name, self.cause, self.kind = name, cause, kind
        super().__init__(cause)


class NoRoom(EngineError):
    """Memory for a request is not there now; callers get a refusal that says when to try again."""

    def __init__(self, needed: int, free: int | None = None, *, unit: str = "tokens") -> None:
        self.needed, self.free = needed, free
        left = "memory ran out" if free is None else f"{free} are free"
        super().__init__(f"{needed} {unit} need room and {left}; try again when others are done")


class TextTooLong(EngineError, ValueError):
    """A text has more tokens than the model reads; ``place`` is its place among those of the request."""

    def __init__(self, place: int, tokens: int, most: int) -> None:
        self.place, self.tokens, self.most = place, tokens, most
        super().__init__(f"text {place} has {tokens} tokens, the model reads {most}; shorten or split it")


class ModelError(EngineError):
    """A model cannot be had; the message says why and what to do."""


class ModelNotFound(ModelError):
    """A model that is not prepared, no path, or unknown."""

    def __init__(self, name: str, why: str, next_step: str) -> None:
        self.name, self.why, self.next_step = name, why, next_step
        super().__init__(f"model {name!r}: {why}. {next_step}")


class ModelUnsuited(ModelError):
    """A model whose attention this engine does not compute."""

    def __init__(self, name: str, alike: float) -> None:
        self.name, self.alike = name, alike
        super().__init__(
            f"model {name!r}: its architecture attends in a way that this engine does not compute (its logits agree to "
            f"{alike:.3f} only). Serve it with vLLM, SGLang or llama.cpp, and name that as an upstream"
        )


class MissingExtra(ModelError):
    """Packages of an optional extra are not installed."""

    def __init__(self, extra: str, module: str) -> None:
        self.extra, self.module = extra, module
        super().__init__(f"{module} is not installed. Install the extra: pip install 'ranvier[{extra}]'")


class PrepareFailed(ModelError):
    """A model could not be fetched, checked or converted."""

    def __init__(self, name: str, cause: str, next_step: str) -> None:
        self.name, self.cause, self.next_step = name, cause, next_step
        super().__init__(f"cannot prepare {name}: {cause}. {next_step}")
