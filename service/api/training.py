"""`/v1/training`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from service.api.bodies import StrictRoute
from service.api.figures import FIGURE_RESPONSES, Ending, figure_response
from service.api.files import file_response
from service.api.problems import RESPONSES
from service.api.services import LimitDep, PageDep, Services, ServicesDep
from service.artifacts.manifest import ArtifactFolder
from service.artifacts.views import METRICS, view_name
from service.catalog import training as catalog
from service.contracts.base import Identifier, Page
from service.contracts.training import MetricsRow, TrainingRun, TrainingSummary

_PARQUET = "application/vnd.apache.parquet"
_STEP_FIELDS = [name for name in MetricsRow.model_fields if name != "details"]
_CSV_ROWS = 5_000  # of a page that is held in memory
router = APIRouter(prefix="/v1/training", tags=["training"], route_class=StrictRoute, responses=RESPONSES)


@router.get("")
def list_training_runs(services: ServicesDep, page: PageDep) -> Page[TrainingSummary]:
    """Runs, newest first."""
    with services.catalog.read() as connection:
        data, following = catalog.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{run_id}")
def get_training_run(run_id: Identifier, services: ServicesDep) -> TrainingRun:
    """A run in its present state: losses, reference lines, accuracies, kept models."""
    with services.catalog.read() as connection:
        return catalog.get(connection, run_id)


@router.get("/{run_id}/metrics")
def list_training_metrics(
    run_id: Identifier,
    services: ServicesDep,
    limit: LimitDep,
    after: Annotated[int, Query(ge=0, le=2**62, description="the last step already received")] = 0,
    points: Annotated[
        int | None, Query(ge=4, le=4_000, description="about so many steps of the whole run, extremes included")
    ] = None,
) -> Page[MetricsRow]:
    """Logged steps in order, nats per target: a page of all, or with `points` a sample that a chart can draw."""
    if points is not None:
        return Page(data=sample_training_metrics(run_id, services, points), next=None)
    with services.catalog.read() as connection:
        catalog.get(connection, run_id)
        data, following = catalog.metrics(connection, run_id, limit, after)
    return Page(data=data, next=None if following is None else str(following))


def sample_training_metrics(run_id: str, services: Services, points: int) -> list[MetricsRow]:
    """About `points` logged steps of a run; raises `NotFound`."""
    with services.catalog.read() as connection:
        catalog.get(connection, run_id)
        return catalog.sampled_metrics(connection, run_id, points)


@router.get("/{run_id}/metrics.csv", responses={200: {"content": {"text/csv": {}}}}, response_class=Response)
def get_training_metrics_csv(run_id: Identifier, services: ServicesDep) -> Response:
    """All logged steps as CSV."""
    with services.catalog.read() as connection:
        catalog.get(connection, run_id)
        details = catalog.detail_names(connection, run_id)
    return StreamingResponse(_csv_pages(services, run_id, details), media_type="text/csv")


def _csv_pages(services: Services, run_id: str, details: list[str]) -> Iterator[str]:
    """The lines of all logged steps, some thousand at a time."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_STEP_FIELDS, *details])
    writer.writeheader()
    after: int | None = -1
    while after is not None:
        with services.catalog.read() as connection:
            rows, after = catalog.metrics(connection, run_id, _CSV_ROWS, after)
        writer.writerows(row.model_dump(exclude={"details"}) | row.details for row in rows)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


@router.get(
    "/{run_id}/metrics.parquet",
    responses={200: {"content": {_PARQUET: {}}, "description": "the steps logged by the end of the last segment"}},
    response_class=FileResponse,
)
def get_training_metrics_parquet(run_id: Identifier, services: ServicesDep) -> FileResponse:
    """The steps logged by the end of the last segment as Parquet."""
    return file_response(_view(run_id, services), METRICS, _PARQUET)


@router.get("/{run_id}/figure.{ending}", response_class=FileResponse, responses=FIGURE_RESPONSES)
def get_training_figure(run_id: Identifier, ending: Ending, services: ServicesDep) -> FileResponse:
    """The losses so far, as drawn at the end of the last segment."""
    return figure_response(_view(run_id, services), ending)


def _view(run_id: str, services: Services) -> ArtifactFolder:
    with services.catalog.read() as connection:
        step, sha256 = catalog.view(connection, run_id)
    folder = services.settings.artifacts_root / run_id / view_name(step)
    return ArtifactFolder(folder, sha256, services.digests)
