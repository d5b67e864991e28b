"""ASGI middleware: API keys, requests of other sites, and the framework's own errors as problems."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import http_problem
from service.keys import ApiKeys

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")
_OPEN_FOLDER = "/static-offline-docs/"


class ApiKeyMiddleware:
    """Answers 401 to a request without a valid API key; health checks and documentation need none."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._may_pass(scope):
            await http_problem(401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        path = scope["path"]
        if path in _OPEN or path.startswith(_OPEN_FOLDER):
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        return scheme.lower() == b"bearer" and self.keys.owner(token.strip()) is not None


class SameSiteMiddleware:
    """Answers 403 to a request that changes state and that a browser sends for a page of another origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS and _foreign(Headers(scope=scope)):
            await http_problem(403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class ProblemMiddleware:
    """Replaces plain-text errors of the framework (a limit, a range, a host) by problems of the same status."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"])
                if message["status"] >= 400 and headers.get("content-type", "").startswith("text/plain"):
                    replaced = True
                    kept = {name: headers[name] for name in ("allow", "content-range") if name in headers}
                    await http_problem(message["status"], kept)(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, send_problem)


def _foreign(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
