"""The memory asked by a sentence, and the theory calculator: forms whose answers the REST routes give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi._compat import ModelField
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from service.api import activations
from service.api.services import PageQuery, ServicesDep
from service.api.theory import router as theory
from service.contracts.base import Identifier
from service.dashboard.errors import PageRoute
from service.dashboard.rendering import page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_SETS = PageQuery(100, None)
_EXAMPLES = {"n": 1024, "d": 80_000, "r": 7.74, "N": 124e6, "D": 9e9}  # GPT-2 and appendix F.1


@router.get("/ask", response_class=HTMLResponse)
def get_ask(
    request: Request,
    services: ServicesDep,
    chosen: Annotated[Identifier | None, Query(alias="set")] = None,
    text: Annotated[str, Query(max_length=10_000)] = "",
) -> HTMLResponse:
    """A sentence and the rows nearest to it; with `text` in the address, asked at once."""
    sets = activations.list_activations(services, _SETS).data
    return page(request, "ask.html", sets=sets, chosen=chosen, text=text)


@router.get("/theory", response_class=HTMLResponse)
def get_theory(request: Request) -> HTMLResponse:
    """The paper's closed forms, as printed and corrected, for numbers that a person types."""
    return page(request, "theory.html", forms=_FORMS)


@dataclass(frozen=True)
class Field:
    """One argument of a closed form."""

    name: str
    about: str
    value: str
    required: bool
    boolean: bool


@dataclass(frozen=True)
class Form:
    """One closed form and its arguments, as its REST route declares them."""

    path: str
    title: str
    about: str
    fields: list[Field]


def _form(route: APIRoute) -> Form:
    fields = [_field(parameter) for parameter in route.dependant.query_params]
    return Form(route.path, route.path.rsplit("/", 1)[-1], route.description, fields)


def _field(parameter: ModelField) -> Field:
    info = parameter.field_info
    required = info.is_required()
    default = _EXAMPLES.get(parameter.alias) if required else info.default
    value = "" if default is None else str(default)
    return Field(parameter.alias, info.description or "", value, required, info.annotation is bool)


_FORMS = [_form(route) for route in theory.routes if isinstance(route, APIRoute)]
