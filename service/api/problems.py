"""Errors as `application/problem+json`, with a fixed shape and a stable code; they never repeat what a client sent."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from service.api.response_headers import SAFE_HEADERS
from service.contracts.base import Problem
from service.contracts.reading import INVALID, describe_errors
from service.errors import FieldErrors, InvalidInput, RadiusError
from service.logs.lines import REQUEST_ID
from service.logs.requests import HEADER
from service.logs.setup import LOGGED

logger = logging.getLogger(__name__)
_HTTP_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "too_many_requests",
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
RETRY_AFTER_S = "2"
_MEDIA = "application/problem+json"
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase}
    for status in (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503, 507)
}


def install(app: FastAPI) -> None:
    """Answer all errors of `app` with problems."""
    app.add_exception_handler(RadiusError, _radius_error)
    app.add_exception_handler(RequestValidationError, _request_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with `Problem` as the schema of every error."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            for status, response in operation["responses"].items():
                if status >= "400" and "application/json" in response.get("content", {}):
                    response["content"] = {_MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return app.openapi_schema or {}


def problem(
    status: int, code: str, detail: str, errors: FieldErrors | None = None, *, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, errors=errors)
    sent = SAFE_HEADERS | {"Cache-Control": "no-store"} | (headers or {})
    sent |= {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else {}
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=sent, media_type=_MEDIA)


def http_problem(status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """The problem of an HTTP status to which no `RadiusError` belongs."""
    return problem(status, _HTTP_CODES.get(status, "http_error"), HTTPStatus(status).phrase, headers=headers)


def _radius_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RadiusError)
    errors = [{"field": error.field, "message": error.detail}] if error.field else None
    if isinstance(error, InvalidInput):
        errors = error.errors or None
    return problem(error.status, error.code, error.detail, errors)


def _request_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem(422, InvalidInput.code, INVALID, describe_errors(error.errors()))


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = {"Allow": ", ".join(_methods(request))} if error.status_code == 405 else None
    return http_problem(error.status_code, headers)


def _methods(request: Request) -> list[str]:
    """All methods of the request's path; the framework names those of one of its routes."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    found = {
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    }
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    logger.error("unexpected error", exc_info=error)
    setattr(error, LOGGED, True)
    request_id = REQUEST_ID.get()
    detail = "an unexpected error; the server's log has the trace"
    body = Problem(title=HTTPStatus(500).phrase, status=500, code="internal", detail=detail, request_id=request_id)
    headers = SAFE_HEADERS | {"Cache-Control": "no-store"}  # this answer is outside of the middleware
    headers |= {} if request_id is None else {HEADER: request_id}
    return JSONResponse(body.model_dump(exclude_none=True), 500, headers=headers, media_type=_MEDIA)
