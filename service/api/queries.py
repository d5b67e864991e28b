"""`/v1/activations/{id}/query` and the drawn Fig. 1, which the resident query worker answers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.authorisation import requires
from service.api.bodies import StrictRoute
from service.api.figures import FIGURE_RESPONSES, MEDIA, Ending
from service.api.problems import RESPONSES
from service.api.services import ServicesDep
from service.contracts.base import Identifier
from service.contracts.query import QueryAnswer, QueryRequest
from service.errors import InvalidInput, TooLarge
from service.settings import Settings

router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=RESPONSES)


@router.post(
    "/activations/{set_id}/query",
    tags=["activations"],
    response_model=QueryAnswer,
    dependencies=[requires("read")],
)
def query_activations(set_id: Identifier, request: QueryRequest, services: ServicesDep) -> Response:
    """Distances, energies, percentile and the nearest rows of texts or vectors among all rows of the set.

    The neighbours are exact: every one that a rounding bound leaves possible is measured in float64. 503 with
    `Retry-After` while the query worker is not available.
    """
    summary, _, _ = services.stored_set(set_id)
    _check_size(request, summary.d_model, services.settings)
    answer = services.queries.send("POST", f"/activations/{set_id}/query", request.model_dump_json())
    return Response(answer.content, media_type="application/json")  # the worker validated and serialised it


@router.get("/theory/figure1.{ending}", tags=["theory"], response_class=Response, responses=FIGURE_RESPONSES)
def get_theory_figure1_drawn(ending: Ending, services: ServicesDep) -> Response:
    """The paper's Fig. 1, redrawn from our own functions, with the attractors marked."""
    return Response(services.queries.send("GET", f"/figure1.{ending}").content, media_type=MEDIA[ending])


def _check_size(request: QueryRequest, d_model: int, settings: Settings) -> None:
    rows = request.vectors if request.vectors is not None else request.texts or []
    field = "texts" if request.vectors is None else "vectors"
    if len(rows) > settings.max_queries:
        raise TooLarge(f"at most {settings.max_queries} queries at once (max_queries)", field=field)
    if request.vectors is not None and any(len(row) != d_model for row in request.vectors):
        raise InvalidInput(f"every vector must have {d_model} numbers, the set's d_model", field="vectors")
