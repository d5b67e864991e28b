"""Authorisation: every route needs a scope, by its method or as it declares, and sees one project.

401  no valid key (`ApiKeyMiddleware`)
403  the key's scope is too small (`ScopedRoute`)
404  the object is of another project, or of none (`service.catalog.ownership`)
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response, params
from fastapi.routing import APIRoute

from service.errors import Forbidden
from service.principal import Principal, Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/login"})
OPEN_FOLDERS = ("/static-offline-docs/", "/static/")
KEY_IS_VALID = "key_is_valid"  # in the scope of a request: whether its key would still be accepted
_SCHEME = "key"
_ABOUT = "made by `radius keys create`; a service on loopback may have none, and then needs none"


def principal_of(request: Request) -> Principal:
    """The principal of the request, as the key middleware found it."""
    return request.scope["principal"]


PrincipalDep = Annotated[Principal, Depends(principal_of)]


@dataclass(frozen=True)
class _Requirement:
    scope: Scope

    def __call__(self, request: Request) -> None:
        check_scope(principal_of(request), self.scope)


def requires(scope: Scope) -> params.Depends:
    """Make a route need this scope, whatever its method: for its `dependencies`."""
    return Depends(_Requirement(scope))


def check_scope(principal: Principal, scope: Scope) -> None:
    """Raise `Forbidden` unless the principal's scope includes `scope`."""
    if not principal.may(scope):
        raise Forbidden(f"this needs a key of scope {scope}; this one has {principal.scope}")


class ScopedRoute(APIRoute):
    """A route that needs scope `write`, or `read` where it is only read; `requires` declares another.

    The scope is checked before the body is read.
    """

    @property
    def scope_needed(self) -> Scope:
        declared = [one.dependency for one in self.dependencies if isinstance(one.dependency, _Requirement)]
        if declared:
            return declared[-1].scope
        return "read" if set(self.methods or ()) <= SAFE_METHODS else "write"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        needed = self.scope_needed

        async def handle_allowed(request: Request) -> Response:
            if self.path not in OPEN_PATHS:
                check_scope(principal_of(request), needed)
            return await handle(request)

        return handle_allowed


def describe_security(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the keys as its security scheme, so that /docs can authorise."""
    scheme = {"type": "http", "scheme": "bearer", "description": _ABOUT}
    document.setdefault("components", {})["securitySchemes"] = {_SCHEME: scheme}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN_PATHS else [{_SCHEME: []}]
    return document
