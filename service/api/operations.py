"""Routes for operators, over all projects: `/metrics` and `/v1/workers`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.authorisation import requires
from service.api.bodies import StrictRoute
from service.api.problems import RESPONSES
from service.api.services import OpenServicesDep
from service.catalog import workers
from service.contracts.base import Page
from service.contracts.workers import Worker
from service.metrics.service import CONTENT_TYPE

router = APIRouter(
    tags=["operations"],
    route_class=StrictRoute,
    responses={503: RESPONSES[503]},
    dependencies=[requires("admin")],
)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def get_metrics(services: OpenServicesDep) -> Response:
    """Metrics in Prometheus's text format; what comes from the database is a few seconds old."""
    return Response(services.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


@router.get("/v1/workers")
def list_workers(services: OpenServicesDep) -> Page[Worker]:
    """The workers that are alive, and those that were lost within a day, with what each does now."""
    with services.catalog.read() as connection:
        return Page(data=workers.listed(connection, services.settings.lease_s), next=None)
