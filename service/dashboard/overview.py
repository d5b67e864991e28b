"""`/`, jobs, models and corpora."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from service.api import about, corpora, jobs, operations
from service.api.authorisation import PrincipalDep
from service.api.services import OpenServicesDep, PageDep, PageQuery, ServicesDep
from service.catalog import events, totals
from service.contracts.base import Identifier
from service.contracts.jobs import FINAL_STATES, JobKind, JobState
from service.dashboard.errors import PageRoute
from service.dashboard.rendering import page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_RECENT = PageQuery(10, None)
_NAMED = PageQuery(200, None)  # corpora that the form suggests


@router.get("/", response_class=HTMLResponse)
def get_overview(
    request: Request, services: ServicesDep, everything: OpenServicesDep, principal: PrincipalDep
) -> HTMLResponse:
    """The running jobs, a form that starts an analysis, and the newest jobs; for an administrator the workers too."""
    shown = principal.may("admin")
    with services.catalog.read() as connection:
        counts = totals.job_counts(connection) if shown else []
    return page(
        request,
        "overview.html",
        jobs=jobs.list_jobs(services, _RECENT).data,
        presets=about.list_presets().data,
        models=[model for model in about.list_models(services).data if model.supported],
        corpora=corpora.list_corpora(services, _NAMED).data,
        workers=operations.list_workers(everything).data if shown else None,
        queued=sum(one.count for one in counts if one.state == "queued"),
        running=sum(one.count for one in counts if one.state == "running"),
    )


@router.get("/jobs", response_class=HTMLResponse)
def get_jobs(
    request: Request,
    services: ServicesDep,
    query: PageDep,
    kind: Annotated[JobKind | Literal[""], Query()] = "",
    state: Annotated[JobState | Literal[""], Query()] = "",
) -> HTMLResponse:
    """Jobs, newest first, by kind and state."""
    found = jobs.list_jobs(services, query, kind or None, state or None)
    return page(request, "jobs.html", found=found, kind=kind, state=state, kinds=get_args(JobKind))


@router.get("/jobs/{job_id}", response_class=HTMLResponse)
def get_job(job_id: Identifier, request: Request, services: ServicesDep) -> HTMLResponse:
    """One job: its progress, events, warnings and products."""
    job = jobs.get_job(job_id, services)
    with services.catalog.read() as connection:
        recorded, more = events.page(connection, job_id, services.settings.max_page, 0)
    return page(request, "job.html", job=job, events=recorded, more=more, ended=job.state in FINAL_STATES)


@router.get("/models", response_class=HTMLResponse)
def get_models(request: Request, services: ServicesDep) -> HTMLResponse:
    """Model folders, and why some are not supported."""
    return page(request, "models.html", models=about.list_models(services).data)


@router.get("/corpora", response_class=HTMLResponse)
def get_corpora(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Registered corpora, and an upload."""
    return page(request, "corpora.html", found=corpora.list_corpora(services, query), limits=services.settings.limits())
