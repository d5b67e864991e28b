"""ASGI middleware around the application: refuse other sites, and make the framework's own errors problems."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import http_problem

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class SameSite:
    """403 for a request that changes something and that a browser sends on behalf of a page of another origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS and _foreign(Headers(scope=scope)):
            await http_problem(403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class PlainErrors:
    """What the framework answers in plain text (a limit, a range, a host) becomes a problem of the same status."""

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
