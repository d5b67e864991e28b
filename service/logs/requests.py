"""An id for each HTTP request, in every log line and in its answer, and one line when the request has ended."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs.lines import REQUEST_ID

HEADER = "X-Request-ID"
UNMATCHED = "none"  # the route of a request that reached no route
CLIENT_GONE = 499
Observe = Callable[[str, str, int, float], None]
logger = logging.getLogger("radius.access")
_ACCEPTED = re.compile(r"[A-Za-z0-9_-]{8,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_POLLED = ("/healthz", "/readyz", "/metrics")


class RequestLog:
    """ASGI middleware: logs method, route, status and duration of each request, never its path, query or headers.

    A client or a proxy may choose the id (`X-Request-ID` of 8 to 64 letters, digits, - and _).

    Args:
        observe: called with method, route, status and the seconds until the answer began.
    """

    def __init__(self, app: ASGIApp, observe: Observe = lambda *_: None) -> None:
        self.app, self.observe = app, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(HEADER, ""))
        REQUEST_ID.set(request_id)  # stays set for what the server logs after the answer; each request has its context
        started, status, head_s = time.perf_counter(), CLIENT_GONE, 0.0

        async def send_with_id(message: Message) -> None:
            nonlocal status, head_s
            if message["type"] == "http.response.start":
                status, head_s = message["status"], time.perf_counter() - started
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            status = 500
            raise
        finally:
            whole_s = time.perf_counter() - started
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", UNMATCHED)
            self.observe(method, route, status, head_s or whole_s)
            _log(method, route, status, whole_s)


def _log(method: str, route: str, status: int, seconds: float) -> None:
    level = logging.DEBUG if route in _POLLED and status < 400 else logging.INFO
    fields = {"method": method, "route": route, "status": status, "duration_ms": round(1000 * seconds, 1)}
    logger.log(level, "%s %s %d %.1f ms", method, route, status, 1000 * seconds, extra={"fields": fields})


def _request_id(given: str) -> str:
    return given if _ACCEPTED.fullmatch(given) else secrets.token_hex(8)
