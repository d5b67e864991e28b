"""Requests that come through a reverse proxy: the client's address, scheme and host, and a path below another one."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.links import ROOT_PATH


class RootPathMiddleware:
    """Serves the API below `root_path`, whether the proxy removes it from the path of a request or not.

    Other middleware sees the path without it, and links begin with it.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            ROOT_PATH.set(self.root_path)
            below = scope["path"].removeprefix(self.root_path)
            scope["path"] = below if below.startswith("/") else scope["path"]
        await self.app(scope, receive, send)


class RoutedBelowMiddleware:
    """Puts `root_path` before the path again, as the routes expect it; the innermost middleware."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["root_path"], scope["path"] = self.root_path, self.root_path + scope["path"]
        await self.app(scope, receive, send)


class ForwardedMiddleware:
    """Takes a trusted proxy's word for the client's address, the scheme and the host of a request.

    From anybody else these headers change nothing.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        self._forwarded = ProxyHeadersMiddleware(app, list(proxies))  # pyright: ignore[reportArgumentType]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client is not None and client[0] in self._forwarded.trusted_hosts:
            given = Headers(scope=scope).getlist("X-Forwarded-Host")
            if len(given) == 1:
                MutableHeaders(scope=scope)["host"] = given[0].strip()
        await self._forwarded(scope, receive, send)  # pyright: ignore[reportArgumentType]
