"""`/v1/reproductions`."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from service.api.bodies import StrictRoute
from service.api.files import file_response, tag_report
from service.api.problems import RESPONSES
from service.api.services import PageDep, Services, ServicesDep
from service.artifacts.reproduction import ReproductionFolder
from service.catalog import reproductions as catalog
from service.contracts.base import Identifier, Page
from service.contracts.claims import ClaimId
from service.contracts.reproduction import ReproductionReport, ReproductionSummary

router = APIRouter(prefix="/v1/reproductions", tags=["reproductions"], route_class=StrictRoute, responses=RESPONSES)
Document = Literal["md", "html"]
_MEDIA = {"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8"}
_DOCUMENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/markdown": {}, "text/html": {}}, "description": "the report"}
}
_FIGURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}, "description": "the figure"}}
# A stored document is shown without scripts and without requests, whatever is in it.
_SANDBOX = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"}


@router.get("")
def list_reproductions(services: ServicesDep, page: PageDep) -> Page[ReproductionSummary]:
    """Reproductions, newest first."""
    with services.catalog.read() as connection:
        data, following = catalog.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{reproduction_id}")
def get_reproduction(reproduction_id: Identifier, services: ServicesDep) -> ReproductionSummary:
    """The verdict of every claim as of the newest view."""
    with services.catalog.read() as connection:
        return catalog.get(connection, reproduction_id)


@router.get("/{reproduction_id}/report.json")
def get_reproduction_report(
    reproduction_id: Identifier, response: Response, services: ServicesDep
) -> ReproductionReport:
    """Every claim with its numbers, rule, verdict and evidence; published anew whenever one of its jobs has ended."""
    folder = _folder(services, reproduction_id)
    tag_report(response, folder)
    return folder.report()


@router.get("/{reproduction_id}/report.{ending}", response_class=FileResponse, responses=_DOCUMENTS)
def get_reproduction_document(reproduction_id: Identifier, ending: Document, services: ServicesDep) -> FileResponse:
    """The same as Markdown, or as one HTML file that loads nothing."""
    folder = _folder(services, reproduction_id)
    return file_response(folder, f"report.{ending}", _MEDIA[ending], headers=_SANDBOX)


@router.get("/{reproduction_id}/figures/{claim}.svg", response_class=FileResponse, responses=_FIGURE)
def get_reproduction_figure(reproduction_id: Identifier, claim: ClaimId, services: ServicesDep) -> FileResponse:
    """The figure of a claim; 404 where it has none."""
    folder = _folder(services, reproduction_id)
    return file_response(folder, f"figure-{claim}.svg", "image/svg+xml", headers=_SANDBOX)


def _folder(services: Services, reproduction_id: str) -> ReproductionFolder:
    with services.catalog.read() as connection:
        view = catalog.view(connection, reproduction_id)
    return ReproductionFolder.of_view(services.settings.artifacts_root, reproduction_id, view, services.digests)
