"""A line for every request that changes something: the key's name, its project, the operation, the object, the status.

Lines go to the logger `radius.audit`; refused requests are in them too. Of a refused one the object is named only by an
id that the service makes: what else a request gives in its place may be any text.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.authorisation import SAFE_METHODS
from service.principal import Principal

logger = logging.getLogger("radius.audit")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MADE = re.compile(r"[a-z]+-[0-9a-f]{26,28}")
_NONE = "-"


class AuditMiddleware:
    """Logs requests with methods that change something, when their answer begins."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            return await self.app(scope, receive, send)
        status, location = 500, ""  # of an error that no handler answers before the log is written

        async def send_noted(message: Message) -> None:
            nonlocal status, location
            if message["type"] == "http.response.start":
                status, location = message["status"], Headers(raw=message["headers"]).get("location", "")
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            _log(scope, status, location)


def _log(scope: Scope, status: int, location: str) -> None:
    principal: Principal | None = scope.get("principal")
    named = [location.rpartition("/")[2], *map(str, scope.get("path_params", {}).values())]
    pattern = _ID if status < 400 else _MADE
    found = {
        "key": _NONE if principal is None else principal.key or _NONE,
        "project": _NONE if principal is None else principal.project,
        "operation": getattr(scope.get("route"), "name", _NONE),
        "object": next((name for name in named if pattern.fullmatch(name)), _NONE),
        "status": status,
    }
    logger.info(_line(found), extra={"fields": found})


def _line(found: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in found.items())
