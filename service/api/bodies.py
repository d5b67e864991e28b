"""Strict routes: what they take of a request; a full disk while a body is spooled to it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from starlette.exceptions import HTTPException

from service.api.authorisation import ScopedRoute
from service.api.body_limits import HeldBody
from service.api.json_reading import parse_json
from service.api.parameters import check_encoding, check_query
from service.artifacts.atomic import storage_errors
from service.errors import RadiusError


class StrictRequest(Request):
    """A request whose JSON has no NaN, no Infinity, no number beyond a double, and valid UTF-8; `held` is its body."""

    held: HeldBody
    most_values: int | None = None  # of the route's body, where it has one that is JSON

    async def body(self) -> bytes:
        if self.most_values is not None and not hasattr(self, "_body"):
            return await self.read_json(self.most_values)
        return await super().body()

    async def json(self) -> Any:
        return parse_json(await self.body())

    async def read_json(self, most_values: int, most_bytes: int | None = None) -> bytes:
        """The body of a JSON request, see `HeldBody.read`."""
        self._body = await self.held.read(self, most_values, most_bytes)
        return self._body


class StrictRoute(ScopedRoute):
    """A route that refuses parameters which it does not have, and reads its JSON strictly and within limits.

    It answers 507 when no space is left for its body.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = _query_names(self.dependant)

        async def handle_strictly(received: Request) -> Response:
            check_query(received, known)
            check_encoding(received)
            services = received.app.state.services
            request = StrictRequest(received.scope, received.receive)
            request.most_values = services.settings.max_json_values if self.body_field is not None else None
            with storage_errors(), services.bodies.hold() as request.held:
                try:
                    return await handle(request)
                except HTTPException as error:  # the framework's for any failure to read a body
                    if isinstance(error.__cause__, RadiusError):
                        raise error.__cause__ from None
                    raise

        return handle_strictly


def _query_names(dependant: Dependant) -> frozenset[str]:
    """The query parameters of an operation and of what it depends on."""
    deeper = (_query_names(part) for part in dependant.dependencies)
    return frozenset(field.alias for field in dependant.query_params).union(*deeper)
