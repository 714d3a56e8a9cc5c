"""Refusals of the engine server, in the shape that OpenAI clients read."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

from aiohttp import web

from ranvier.engines.errors import NoRoom, NoUpstream
from ranvier.engines.worker import Full, Stopped

_log = logging.getLogger(__name__)


class Problem(Exception):
    """A request cannot be served: HTTP status and reason."""

    def __init__(self, status: int, reason: str, retry_after: int | None = None) -> None:
        self.status, self.reason, self.retry_after = status, reason, retry_after
        super().__init__(reason)

    def response(self) -> web.Response:
        """As it travels."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        error = {"message": self.reason, "type": "invalid_request_error", "code": None}
        return web.json_response({"error": error}, status=self.status, headers=headers)


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what handlers raise into refusals."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except Full:
        return Problem(429, "the queue is full", retry_after=1).response()
    except NoRoom as lack:
        return Problem(503, str(lack), retry_after=2).response()
    except NoUpstream as lack:
        return Problem(503, str(lack)[:300], retry_after=math.ceil(lack.retry_after)).response()
    except Stopped:
        return Problem(503, "shutting down", retry_after=5).response()
    except ValueError as error:
        return Problem(400, str(error)[:300]).response()
    except ConnectionResetError:  # the caller left while we told it something
        raise
    except web.HTTPException as error:
        return Problem(error.status, error.reason).response()
    except Exception as error:  # noqa: BLE001  a model may raise anything; the caller gets a reason, the log the rest
        _log.exception("a model failed")
        return Problem(500, f"the model failed: {type(error).__name__}: {error}"[:300]).response()
