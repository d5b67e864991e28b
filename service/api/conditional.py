"""Answers that need no body: to HEAD, and to a GET of something that the client has already."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What an answer without a body keeps (RFC 9110, 15.4.5).
_KEPT_BY_304 = (b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary")


class _Answered(OSError):
    """Ends the application's sending, as a broken connection does: no file is read for a body that is not sent."""


class BodilessMiddleware:
    """Answers HEAD wherever there is GET, and 304 where `If-None-Match` names the answer's ETag."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        is_head, known = scope["method"] == "HEAD", Headers(scope=scope).getlist("if-none-match")
        if not is_head and not known:
            await self.app(scope, receive, send)
            return
        answered = False

        async def send_head(message: Message) -> None:
            nonlocal answered
            if answered:
                raise _Answered
            if message["type"] == "http.response.start":
                unchanged = message["status"] == 200 and _names(known, Headers(raw=message["headers"]).get("etag"))
                if unchanged or is_head:
                    answered = True
                    await send(_not_modified(message) if unchanged else message)
                    await send({"type": "http.response.body", "body": b""})
                    raise _Answered
            await send(message)

        scope["method"] = "GET"
        try:
            await self.app(scope, receive, send_head)
        except (_Answered, ClientDisconnect):
            if not answered:
                raise
        finally:
            scope["method"] = "HEAD" if is_head else "GET"


def _names(known: list[str], etag: str | None) -> bool:
    """Whether a list of ETags has that one, or is `*`; a weak one is equal to its strong form here."""
    given = [tag.strip().removeprefix("W/") for line in known for tag in line.split(",")]
    return etag is not None and ("*" in given or etag.removeprefix("W/") in given)


def _not_modified(message: Message) -> Message:
    kept = [pair for pair in message["headers"] if pair[0].lower() in _KEPT_BY_304]
    return {**message, "status": 304, "headers": kept}
