"""`/v1/jobs`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.api.bodies import StrictRoute
from service.api.problems import RESPONSES
from service.api.services import PageDep, ServicesDep
from service.catalog import jobs
from service.contracts.base import Identifier, Page
from service.contracts.jobs import Job, JobKind, JobRequest, JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute, responses=RESPONSES)


@router.post("", status_code=202)
def create_job(request: JobRequest, response: Response, services: ServicesDep) -> Job:
    """Submit a job. Once answered with 202 it is stored and will run."""
    job = services.submission.submit(request)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("")
def list_jobs(
    services: ServicesDep,
    page: PageDep,
    kind: Annotated[JobKind | None, Query()] = None,
    state: Annotated[JobState | None, Query()] = None,
) -> Page[Job]:
    """Jobs, newest first."""
    with services.catalog.read() as connection:
        data, following = jobs.page(connection, page.limit, page.after, kind=kind, state=state)
    return Page(data=data, next=following)


@router.get("/{job_id}")
def get_job(job_id: Identifier, services: ServicesDep) -> Job:
    """State, progress, products and, if it failed, why."""
    with services.catalog.read() as connection:
        return jobs.get(connection, job_id)
