"""`/v1/sweeps`."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from service.api.bodies import StrictRoute
from service.api.figures import FIGURE_RESPONSES, Ending, figure_response
from service.api.problems import RESPONSES
from service.api.services import PageDep, ServicesDep
from service.artifacts.manifest import ArtifactFolder
from service.artifacts.views import view_name
from service.catalog import sweeps
from service.contracts.base import Identifier, Page
from service.contracts.sweeps import Sweep, SweepSummary

router = APIRouter(prefix="/v1/sweeps", tags=["training"], route_class=StrictRoute, responses=RESPONSES)


@router.get("")
def list_sweeps(services: ServicesDep, page: PageDep) -> Page[SweepSummary]:
    """Sweeps, newest first."""
    with services.catalog.read() as connection:
        data, following = sweeps.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{sweep_id}")
def get_sweep(sweep_id: Identifier, services: ServicesDep) -> Sweep:
    """A sweep in its present state: its runs, Table 3 with D* and the exponents, or the accuracies of every seed."""
    with services.catalog.read() as connection:
        return sweeps.get(connection, sweep_id)


@router.get("/{sweep_id}/figure.{ending}", response_class=FileResponse, responses=FIGURE_RESPONSES)
def get_sweep_figure(sweep_id: Identifier, ending: Ending, services: ServicesDep) -> FileResponse:
    """The curves of all runs, a panel for each model and D, as drawn when the last run ended."""
    with services.catalog.read() as connection:
        step, sha256 = sweeps.view(connection, sweep_id)
    folder = services.settings.artifacts_root / sweep_id / view_name(step)
    return figure_response(ArtifactFolder(folder, sha256, services.digests), ending)
