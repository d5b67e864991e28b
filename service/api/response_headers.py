"""Headers of every response: what a browser may make of it, and who may keep it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
_NOT_KEPT = "no-store"
_REVALIDATED = "private, no-cache"  # of what has an ETag: the client may keep it, and revalidates it each time


class HeadersMiddleware:
    """Adds what a response does not have itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message))
            await send(message)

        await self.app(scope, receive, send_headers)


def add_headers(headers: MutableHeaders) -> None:
    """Add to `headers` those of every response that they lack."""
    for name, value in SAFE_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", _REVALIDATED if "etag" in headers else _NOT_KEPT)
