"""`/v1/energy`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from service.api.authorisation import PrincipalDep, requires
from service.api.bodies import StrictRequest, StrictRoute
from service.api.evaluations import BESIDE_NUMBERS, json_body, spooled_response
from service.api.figures import FIGURE_RESPONSES, Ending, figure_response
from service.api.files import tag_report
from service.api.problems import RESPONSES
from service.api.services import PageDep, Services, ServicesDep
from service.artifacts.report import EnergyFolder
from service.catalog import energy as catalog
from service.contracts.base import Identifier, Page
from service.contracts.energy import EvaluateRequest, Evaluation
from service.contracts.energy_report import EnergyReport, EnergySummary
from service.contracts.radius import Histogram
from service.theory.histograms import histogram_counts, histogram_edges

router = APIRouter(prefix="/v1/energy", tags=["energy"], route_class=StrictRoute, responses=RESPONSES)


@router.post(
    "/evaluate",
    response_model=Evaluation,
    dependencies=[requires("read")],
    openapi_extra=json_body(EvaluateRequest),
)
async def evaluate_energy(request: StrictRequest, services: ServicesDep, principal: PrincipalDep) -> Response:
    """Energies of a few points among a few patterns, in float64. For large sets submit an `energy` job.

    429 with `Retry-After` while as many evaluations are computed as there are slots.
    """
    body = await request.read_json(services.settings.max_evaluate_numbers + BESIDE_NUMBERS)
    return spooled_response(await services.evaluations.compute(principal.project, "evaluate", body))


@router.get("")
def list_energy_reports(services: ServicesDep, page: PageDep) -> Page[EnergySummary]:
    """Published reports, newest first."""
    with services.catalog.read() as connection:
        data, following = catalog.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{report_id}")
def get_energy_report(report_id: Identifier, response: Response, services: ServicesDep) -> EnergyReport:
    """Distributions of g, E and E_MCHN, the bounds checked on them, E_global and the descent over layers."""
    folder = _folder(services, report_id)
    tag_report(response, folder)
    return folder.report()


@router.get("/{report_id}/histogram")
def get_energy_histogram(
    report_id: Identifier,
    services: ServicesDep,
    of: Annotated[Literal["g", "energy", "energy_mchn"], Query()] = "energy",
    layer: Annotated[int, Query(ge=0, le=127, description="position of the set in `activations`")] = 0,
    beta: Annotated[float | None, Query(ge=1e-6, le=1e6, description="default: the first asked for")] = None,
    bins: Annotated[int, Query(ge=1, le=10_000)] = 60,
) -> Histogram:
    """One quantity of one layer over all points, in `bins` equal bins."""
    folder = _folder(services, report_id)
    values = folder.values(of, layer, folder.report().layers, beta)
    edges = histogram_edges([values], bins)
    return Histogram(edges=edges.tolist(), counts=histogram_counts(values, edges))


@router.get("/{report_id}/figure.{ending}", response_class=FileResponse, responses=FIGURE_RESPONSES)
def get_energy_figure(report_id: Identifier, ending: Ending, services: ServicesDep) -> FileResponse:
    """The figure of the report, as drawn when it was published."""
    return figure_response(_folder(services, report_id), ending)


def _folder(services: Services, report_id: str) -> EnergyFolder:
    with services.catalog.read() as connection:
        _, sha256 = catalog.get(connection, report_id)
    return EnergyFolder(services.settings.artifacts_root / report_id, sha256, services.digests)
