"""Log-in by key: a cookie that no script reads and no other site sends."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from service.api.guards import SESSION
from service.dashboard.errors import PageRoute
from service.dashboard.rendering import page
from service.keys import ApiKeys
from service.links import link

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_OWN_PAGE = re.compile(r"/(?![/\\])[!-~]*")  # a path of this service, not of another host
_LASTS_S = 30 * 86_400


@router.get("/login", response_class=HTMLResponse)
def get_login(request: Request, next: str = "/") -> HTMLResponse:
    """The form for an API key."""
    return _form(request, next)


@router.post("/login", response_class=HTMLResponse)
def log_in(
    request: Request, key: Annotated[str, Form(max_length=256)], next: Annotated[str, Form(max_length=2048)] = "/"
) -> Response:
    """Keep a valid key in the browser's cookie, and go where the person wanted to."""
    keys: ApiKeys | None = request.app.state.keys
    if keys is not None and keys.principal(key.strip().encode()) is None:
        return _form(request, next, failed=True)
    answer = RedirectResponse(link(next if _OWN_PAGE.fullmatch(next) else "/"), 303)
    if keys is not None:
        secure, path = request.url.scheme == "https", link("/")
        answer.set_cookie(
            SESSION, key.strip(), max_age=_LASTS_S, path=path, secure=secure, httponly=True, samesite="strict"
        )
    return answer


@router.post("/logout", response_class=HTMLResponse)
def log_out() -> Response:
    """Forget the key."""
    answer = RedirectResponse(link("/login"), 303)
    answer.delete_cookie(SESSION, path=link("/"), httponly=True, samesite="strict")
    return answer


def _form(request: Request, following: str, *, failed: bool = False) -> HTMLResponse:
    needed = request.app.state.keys is not None
    return page(request, "login.html", status=401 if failed else 200, following=following, failed=failed, needed=needed)
