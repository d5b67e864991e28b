"""ASGI middleware: API keys, host names, requests of other sites, and the framework's own errors as problems."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.addresses import canonical
from service.api.authorisation import KEY_IS_VALID, OPEN_FOLDERS, OPEN_PATHS, SAFE_METHODS
from service.api.problems import http_problem, problem
from service.keys import ApiKeys
from service.links import link
from service.principal import LOCAL, Principal

SESSION = "radius_key"  # a person's cookie has the key itself: revoking the key ends the session
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


class ApiKeyMiddleware:
    """Puts the principal of a request into its scope; answers 401 to one without a valid API key.

    Health checks and documentation need none and have no principal. Without `keys` everyone is the local one.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys | None) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            principal = LOCAL if self.keys is None else _principal(scope, self.keys)
            if principal is not None:
                scope["principal"], scope[KEY_IS_VALID] = principal, partial(self._accepts, scope)
            elif not _is_open(scope["path"]):
                return await _unauthorised(scope)(scope, receive, send)
        await self.app(scope, receive, send)

    def _accepts(self, scope: Scope) -> bool:
        return self.keys is None or _principal(scope, self.keys) is not None


class HostMiddleware:
    """Answers 400 to a request for another host: a page of another site, reached by DNS rebinding, has its own name.

    `patterns` are canonical hosts, `*.domain` or `*`; how a request spells an address does not matter.
    """

    def __init__(self, app: ASGIApp, patterns: Iterable[str]) -> None:
        self.app, self.hosts = app, frozenset(patterns)
        self.endings = tuple(host[1:] for host in self.hosts if host.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope).getlist("host"))):
            await problem(400, "bad_request", refusal)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, given: list[str]) -> str | None:
        found = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        try:
            host = None if found is None else canonical(found[1])
        except ValueError:
            host = None
        if host is None:
            return "the request's Host header is not one host name or address"
        if host in self.hosts or host.endswith(self.endings):
            return None
        return f"the service is not called {host}: RADIUS_ALLOWED_HOSTS has the names that requests may have"


class SameSiteMiddleware:
    """Answers 403 to a request that changes state and that a browser sends for a page of another origin.

    A service without keys also refuses other requests of such a page, as they cost work: an image, a script, a frame.
    Health checks, documentation and links that a person follows stay open.
    """

    def __init__(self, app: ASGIApp, *, keyless: bool) -> None:
        self.app, self.keyless = app, keyless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_refused(scope):
            await http_problem(403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _is_refused(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if not _foreign(headers):
            return False
        if scope["method"] not in SAFE_METHODS:
            return True
        followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return self.keyless and not followed and not _is_open(scope["path"])


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


def _principal(scope: Scope, keys: ApiKeys) -> Principal | None:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        cookie = Request(scope).cookies.get(SESSION)
        return None if cookie is None else keys.principal(cookie.encode())
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(b" ")
    return keys.principal(token.strip()) if scheme.lower() == b"bearer" else None


def _unauthorised(scope: Scope) -> Response:
    """The problem, or for a person with a browser the page with the form for a key."""
    headers, path = Headers(scope=scope), scope["path"]
    if scope["method"] == "GET" and "text/html" in headers.get("accept", "") and not path.startswith("/v1/"):
        asked = path + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        return RedirectResponse(link(f"/login?next={quote(asked, safe='')}"), 303)
    return http_problem(401, {"WWW-Authenticate": "Bearer"})


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def _foreign(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:  # no URL
        return True
