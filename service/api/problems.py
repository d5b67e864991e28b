"""Every error as `application/problem+json`: a fixed shape, a stable code, and nothing of what the client sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from service.contracts.base import Problem
from service.errors import RadiusError

logger = logging.getLogger(__name__)
_HTTP_CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
RETRY_AFTER_S = "2"
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in (404, 409, 413, 422, 503)
}


def install(app: FastAPI) -> None:
    """Answer all errors of `app` with problems."""
    app.add_exception_handler(RadiusError, _radius_error)
    app.add_exception_handler(RequestValidationError, _request_error)
    app.add_exception_handler(ValidationError, _spec_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def problem(
    status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None, **headers: str
) -> JSONResponse:
    """A problem response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, errors=errors)
    if status == 503:
        headers["Retry-After"] = RETRY_AFTER_S
    return JSONResponse(
        body.model_dump(exclude_none=True), status, headers=headers, media_type="application/problem+json"
    )


def _radius_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RadiusError)
    errors = [{"field": error.field, "message": error.detail}] if error.field else None
    return problem(error.status, error.code, error.detail, errors)


def _request_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem(422, "invalid_input", "the request is not valid", _fields(error.errors(), ""))


def _spec_error(_request: Request, error: Exception) -> JSONResponse:
    """A spec is validated by kind after the request's own shape, a corpus after its content type."""
    assert isinstance(error, ValidationError)
    prefix = "spec." if error.title.endswith("Spec") else ""
    errors = _fields(error.errors(include_input=False, include_context=False, include_url=False), prefix)
    return problem(422, "invalid_input", "the request is not valid", errors)


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, _HTTP_CODES.get(error.status_code, "http_error"), phrase)


def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    logger.error("unexpected error", exc_info=error)
    return problem(500, "internal", "an unexpected error; the server's log has the trace")


def _fields(errors: Sequence[Any], prefix: str) -> list[dict[str, str]]:
    return [{"field": prefix + _field(error["loc"]), "message": str(error["msg"])} for error in errors[:20]]


def _field(location: tuple[int | str, ...]) -> str:
    """`spec.sites.0`; names that are not ours (an unknown field) are shortened and made plain ASCII."""
    inner = location[1:] if len(location) > 1 and isinstance(location[1], str) else location
    safe = [str(part).encode("ascii", "replace").decode()[:64] for part in inner]
    return ".".join("".join(c if c.isprintable() else "?" for c in part) for part in safe)
