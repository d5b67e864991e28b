"""Strict parsing of JSON bodies; a full disk while a body is spooled to it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from service.api.authorisation import ScopedRoute
from service.artifacts.atomic import storage_errors
from service.errors import InvalidInput, TooLarge


class StrictRequest(Request):
    """A request whose JSON has no NaN, no Infinity, no number beyond a double, and valid UTF-8."""

    async def json(self) -> Any:
        return parse_json(await self.body())


class StrictRoute(ScopedRoute):
    """A route that reads its JSON strictly, and answers 507 when no space is left for its body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            with storage_errors():
                try:
                    return await handle(StrictRequest(request.scope, request.receive))
                except HTTPException as error:  # the framework's for any failure to read a form
                    if isinstance(error.__cause__, OSError):
                        raise error.__cause__ from None
                    raise

        return handle_strictly


async def read_json(request: Request, limit: int) -> Any:
    """The strict JSON body of a request to a route that also takes uploads, whose limit on bodies is theirs.

    Raises:
        InvalidInput: not JSON.
        TooLarge: over `limit` bytes; no more than that is kept in memory.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise TooLarge(f"a JSON body is at most {limit} bytes (max_json_bytes)")
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise InvalidInput("the body must be application/json, or multipart/form-data with a file", field="body")
    try:
        return parse_json(bytes(body))
    except json.JSONDecodeError as error:
        raise InvalidInput("the body is not JSON", field="body") from error


def parse_json(body: bytes) -> Any:
    """Parse a body; raises `json.JSONDecodeError`, which the framework answers with 422, where it is not JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError("not JSON", "", 0) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; a key given twice is refused, because parsers differ in which value they keep."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise InvalidInput("a number is beyond a double")
    return value
