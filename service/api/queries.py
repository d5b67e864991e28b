"""`/v1/activations/{id}/query` and the drawn Fig. 1, which the resident query worker answers."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from service.api.authorisation import PrincipalDep, requires
from service.api.bodies import StrictRequest, StrictRoute
from service.api.evaluations import BESIDE_NUMBERS, json_body
from service.api.figures import FIGURE_RESPONSES, Ending, drawn_response
from service.api.problems import RESPONSES
from service.api.services import ServicesDep
from service.contracts.base import Identifier
from service.contracts.query import QueryAnswer, QueryRequest

router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=RESPONSES)


@router.post(
    "/activations/{set_id}/query",
    tags=["activations"],
    response_model=QueryAnswer,
    dependencies=[requires("read")],
    openapi_extra=json_body(QueryRequest),
)
async def query_activations(
    set_id: Identifier, request: StrictRequest, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Distances, energies, percentile and the nearest rows of texts or vectors among all rows of the set.

    The neighbours are exact: every one that a rounding bound leaves possible is measured in float64. 503 with
    `Retry-After` while the query worker is not available.
    """
    summary, _, _ = await run_in_threadpool(services.stored_set, set_id)
    most = min(services.settings.max_evaluate_numbers, services.settings.max_queries * summary.d_model)
    body = await request.read_json(max(most, services.settings.max_json_values) + BESIDE_NUMBERS)
    with await services.evaluations.compute(principal.project, "query", body, d_model=summary.d_model) as checked:
        query = checked.read()
    answer = await services.queries.query(principal.project, set_id, query, request.is_disconnected)
    return Response(answer.content, media_type="application/json")  # the worker validated and serialised it


@router.get("/theory/figure1.{ending}", tags=["theory"], response_class=Response, responses=FIGURE_RESPONSES)
def get_theory_figure1_drawn(ending: Ending, services: ServicesDep) -> Response:
    """The paper's Fig. 1, redrawn from our own functions, with the attractors marked."""
    drawn = services.figure1.get(ending) or services.figure1.setdefault(
        ending, services.queries.get(f"/figure1.{ending}").content
    )
    return drawn_response(drawn, ending)
