"""`/v1/radius`."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from service.api.bodies import StrictRoute
from service.api.figures import FIGURE_RESPONSES, Ending, figure_response
from service.api.files import file_response, tag_report
from service.api.problems import RESPONSES
from service.api.services import LimitDep, PageDep, Probabilities, Services, ServicesDep
from service.artifacts.report import NEIGHBORS, ReportFolder
from service.catalog import radius as catalog
from service.contracts.activations import ActivationRow
from service.contracts.base import Contract, Identifier, Page
from service.contracts.radius import Histogram, Neighbor, NeighborPair, RadiusReport, RadiusSummary
from service.errors import NotFound
from service.theory.histograms import histogram_counts, histogram_edges

router = APIRouter(prefix="/v1/radius", tags=["radius"], route_class=StrictRoute, responses=RESPONSES)
_FILES = {"parquet": "application/vnd.apache.parquet", "npz": "application/zip"}


class FractionHistogram(Contract):
    """One fraction's histogram; null when it has no distances."""

    fraction: float
    n: int
    histogram: Histogram | None


class FractionQuantiles(Contract):
    """One fraction's quantiles; null when it has no distances."""

    fraction: float
    n: int
    quantiles: dict[str, float] | None


class Histograms(Contract):
    """All fractions over the same edges."""

    fractions: list[FractionHistogram]


class Quantiles(Contract):
    """Quantiles of each fraction."""

    fractions: list[FractionQuantiles]


@router.get("")
def list_radius_reports(
    services: ServicesDep,
    page: PageDep,
    activations: Annotated[Identifier | None, Query(description="only reports of this activation set")] = None,
) -> Page[RadiusSummary]:
    """Published reports, newest first."""
    with services.catalog.read() as connection:
        data, following = catalog.page(connection, page.limit, page.after, activations=activations)
    return Page(data=data, next=following)


@router.get("/{report_id}")
def get_radius_report(report_id: Identifier, response: Response, services: ServicesDep) -> RadiusReport:
    """Nearest-neighbour distances per fraction, beside the paper's formula, the correct one and the null model."""
    folder = _folder(services, report_id)
    tag_report(response, folder)
    return folder.report()


@router.get("/{report_id}/histogram")
def get_radius_histogram(
    report_id: Identifier, services: ServicesDep, bins: Annotated[int, Query(ge=1, le=10_000)] = 60
) -> Histograms:
    """The distances of each fraction in `bins` equal bins from the smallest to the largest of them all."""
    folder = _folder(services, report_id)
    report = folder.report()
    values = [folder.distances(position) for position in range(len(report.fractions))]
    edges = histogram_edges(values, bins)
    return Histograms(
        fractions=[
            FractionHistogram(
                fraction=part.fraction,
                n=part.n,
                histogram=Histogram(edges=edges.tolist(), counts=histogram_counts(sample, edges))
                if len(sample)
                else None,
            )
            for part, sample in zip(report.fractions, values, strict=True)
        ]
    )


@router.get("/{report_id}/quantiles")
def get_radius_quantiles(report_id: Identifier, services: ServicesDep, q: Probabilities = "0.05,0.5,0.95") -> Quantiles:
    """Quantiles of nn_distance per fraction, interpolated linearly."""
    folder = _folder(services, report_id)
    wanted = [float(part) for part in q.split(",")]
    found = []
    for position, part in enumerate(folder.report().fractions):
        sample = folder.distances(position)
        values = np.quantile(sample, wanted) if len(sample) else None
        named = None if values is None else {repr(p): float(v) for p, v in zip(wanted, values, strict=True)}
        found.append(FractionQuantiles(fraction=part.fraction, n=part.n, quantiles=named))
    return Quantiles(fractions=found)


@router.get("/{report_id}/neighbors")
def list_radius_neighbors(
    report_id: Identifier,
    services: ServicesDep,
    limit: LimitDep,
    order: Annotated[Literal["closest", "farthest"], Query()] = "closest",
    after: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Page[NeighborPair]:
    """Rows with their nearest other row and both texts, closest or farthest first; a mutual pair is listed once."""
    folder = _folder(services, report_id)
    start = after or 0
    report = folder.report()
    pairs, more = folder.pairs(
        farthest=order == "farthest",
        start=start,
        count=limit,
        within=report.reference is None,
        orders=services.pair_orders,
    )
    _, _, queries = services.stored_set(report.activations)
    _, _, database = services.stored_set(report.reference or report.activations)
    rows = zip(queries.rows([a for a, _, _ in pairs]), database.rows([b for _, b, _ in pairs]), strict=True)
    data = [
        NeighborPair(distance=distance, radius=distance / 2, a=_neighbor(a), b=_neighbor(b))
        for (_, _, distance), (a, b) in zip(pairs, rows, strict=True)
    ]
    return Page(data=data, next=str(start + limit) if more else None)


@router.get(
    "/{report_id}/neighbors.{ending}",
    response_class=FileResponse,
    responses={200: {"content": {media: {} for media in _FILES.values()}, "description": "all k neighbours"}},
)
def get_radius_neighbors_file(
    report_id: Identifier, ending: Literal["parquet", "npz"], services: ServicesDep
) -> FileResponse:
    """All neighbours of the largest fraction in the order of the set's rows.

    Parquet has a line for each neighbour: row, rank from 1, neighbor, distance. NumPy's file has `rows`, `distances`
    and `ids`, with inf and −1 where a row has fewer than k. 404 for reports of versions that wrote no such files.
    """
    name = f"{NEIGHBORS}.{ending}"
    if name not in neighbors_files(services, report_id):
        raise NotFound("an earlier version made the report, without this file; a new radius job writes it")
    return file_response(_folder(services, report_id), name, _FILES[ending])


@router.get("/{report_id}/figure.{ending}", response_class=FileResponse, responses=FIGURE_RESPONSES)
def get_radius_figure(report_id: Identifier, ending: Ending, services: ServicesDep) -> FileResponse:
    """The histogram of the report, as drawn when it was published."""
    return figure_response(_folder(services, report_id), ending)


def neighbors_files(services: Services, report_id: str) -> list[str]:
    """Names of the files with all neighbours that the report has; none in reports of earlier versions."""
    written = {entry["name"] for entry in _folder(services, report_id).manifest["files"]}
    return [name for name in (f"{NEIGHBORS}.{ending}" for ending in _FILES) if name in written]


def _folder(services: Services, report_id: str) -> ReportFolder:
    with services.catalog.read() as connection:
        _, sha256 = catalog.get(connection, report_id)
    return ReportFolder(services.settings.artifacts_root / report_id, sha256, services.digests)


def _neighbor(row: ActivationRow) -> Neighbor:
    return Neighbor.model_validate(row.model_dump(include=set(Neighbor.model_fields)))
