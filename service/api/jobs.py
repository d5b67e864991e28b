"""`/v1/jobs`."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from service.api.authorisation import KEY_IS_VALID, PrincipalDep, requires
from service.api.bodies import StrictRoute
from service.api.event_stream import Reader, stream_events
from service.api.problems import RESPONSES
from service.api.services import LimitDep, PageDep, ServicesDep
from service.catalog import events, jobs
from service.contracts.base import Identifier, Page
from service.contracts.estimates import Estimate
from service.contracts.jobs import Job, JobEvent, JobKind, JobRequest, JobState
from service.errors import TooMany
from service.jobs.waiting import with_waiting
from service.links import link

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute, responses=RESPONSES)
_POLL_S = 0.25
_UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # a reverse proxy passes each event on at once


@router.post("", status_code=202)
def create_job(
    request: JobRequest,
    response: Response,
    services: ServicesDep,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="the same key and body is the same job")
    ] = None,
) -> Job:
    """Submit a job. Once answered with 202 it is stored and will run."""
    job = services.submission.submit(request, idempotency_key)
    response.headers["Location"] = link(f"/v1/jobs/{job.id}")
    with services.catalog.read() as connection:
        return with_waiting(connection, [job], services.settings.lease_s)[0]


@router.post("/estimate", dependencies=[requires("read")])
async def estimate_job(request: JobRequest, services: ServicesDep) -> Estimate:
    """Estimate a job's segments, time, bytes and memory, and whether it fits. Nothing is submitted.

    Times come from a measurement of the compute worker's device, made once, at the first estimate.
    """
    deadline = time.monotonic() + services.settings.calibration_wait_s
    found = await run_in_threadpool(services.estimation.estimate, request)
    if found.device is not None and found.calibration is None:
        await run_in_threadpool(services.estimation.calibrate, found.device)
        while found.calibration is None and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            found = await run_in_threadpool(services.estimation.estimate, request)
    return found


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
        return Page(data=with_waiting(connection, data, services.settings.lease_s), next=following)


@router.get("/{job_id}")
def get_job(job_id: Identifier, services: ServicesDep) -> Job:
    """State, progress, products and, if it failed, why."""
    with services.catalog.read() as connection:
        return with_waiting(connection, [jobs.get(connection, job_id)], services.settings.lease_s)[0]


@router.post("/{job_id}/cancel", status_code=202)
def cancel_job(job_id: Identifier, services: ServicesDep) -> Job:
    """Stop a job. A segment under way ends at its next progress write; 409 when the job has ended."""
    return services.control.cancel(job_id)


@router.post("/{job_id}/retry", status_code=202)
def retry_job(job_id: Identifier, services: ServicesDep) -> Job:
    """Queue a failed or cancelled job again. Finished segments are kept."""
    return services.control.retry(job_id)


@router.delete("/{job_id}", status_code=204)
def delete_job(job_id: Identifier, services: ServicesDep) -> None:
    """Remove a job that has ended, with its products and their files."""
    services.control.delete(job_id)


@router.get(
    "/{job_id}/events",
    response_model=Page[JobEvent],
    responses={204: {"description": "a stream was asked for, and no event can follow the one that is known"}},
)
def list_job_events(
    job_id: Identifier,
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    limit: LimitDep,
    after: Annotated[int, Query(ge=0, le=2**62, description="id of the last event that is known")] = 0,
    progress: Annotated[bool, Query(description="of a stream: send the job too, at most once a second")] = False,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None,
) -> Response | Page[JobEvent]:
    """List a job's events, oldest first: a page, or with `Accept: text/event-stream` a stream until its end."""
    with services.catalog.read() as connection:
        jobs.get(connection, job_id)
        if "text/event-stream" in request.headers.get("accept", ""):
            known = max(after, int(last_event_id or 0))
            if events.has_ended(connection, job_id, known):
                return Response(status_code=204)  # an EventSource connects again after any other end
            most = services.settings.project_event_streams
            if services.events.streams_of(principal.project) >= most:
                raise TooMany(f"{most} event streams of this project are open (project_event_streams)")
            reader = Reader(principal.project, request.scope[KEY_IS_VALID])
            stream = stream_events(services.catalog, services.events, reader, job_id, known, progress=progress)
            return StreamingResponse(stream, media_type="text/event-stream", headers=_UNBUFFERED)
        data, following = events.page(connection, job_id, limit, after)
    return Page(data=data, next=following)
