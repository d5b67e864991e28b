"""Errors of a page as a page: what is wrong in words, with the status that the REST routes answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError

from service.api.authorisation import ScopedRoute
from service.dashboard.rendering import page
from service.errors import RadiusError


class PageRoute(ScopedRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except RadiusError as error:
                return _error_page(request, error.status, error.detail)
            except RequestValidationError as error:
                return _error_page(request, 422, "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors()))

        return handle_for_people


def _error_page(request: Request, status: int, detail: str) -> Response:
    return page(request, "error.html", status=status, title=HTTPStatus(status).phrase, detail=detail)
