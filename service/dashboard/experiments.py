"""Trainings and sweeps."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.api import sweeps, training
from service.api.services import PageDep, Services, ServicesDep
from service.contracts.base import Identifier
from service.contracts.jobs import OPEN_STATES
from service.contracts.training import TrainingRun
from service.dashboard.charts import Chart
from service.dashboard.curves import sweep_chart, training_chart
from service.dashboard.errors import PageRoute
from service.dashboard.rendering import page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_POINTS = 1_000  # about as many as a chart has pixels


@router.get("/training", response_class=HTMLResponse)
def get_runs(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Training runs, newest first."""
    return page(request, "runs.html", found=training.list_training_runs(services, query))


@router.get("/training/{run_id}", response_class=HTMLResponse)
def get_run(run_id: Identifier, request: Request, services: ServicesDep) -> HTMLResponse:
    """One run: its curve, which is drawn anew while the run goes on, and what it reports."""
    run = training.get_training_run(run_id, services)
    return page(request, "run.html", run=run, chart=_chart(run, services), open=run.state in OPEN_STATES)


@router.get("/training/{run_id}/chart")
def get_run_chart(run_id: Identifier, services: ServicesDep) -> dict[str, Any]:
    """The run's curve as the page draws it, and whether the run goes on."""
    run = training.get_training_run(run_id, services)
    return {"chart": _chart(run, services).payload, "open": run.state in OPEN_STATES, "step": run.step}


@router.get("/sweeps", response_class=HTMLResponse)
def get_sweeps(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Sweeps, newest first."""
    return page(request, "sweeps.html", found=sweeps.list_sweeps(services, query))


@router.get("/sweeps/{sweep_id}", response_class=HTMLResponse)
def get_sweep(sweep_id: Identifier, request: Request, services: ServicesDep) -> HTMLResponse:
    """One sweep: Table 3 with D*, or the accuracies of every seed."""
    sweep = sweeps.get_sweep(sweep_id, services)
    return page(request, "sweep.html", sweep=sweep, chart=sweep_chart(sweep))


def _chart(run: TrainingRun, services: Services) -> Chart:
    return training_chart(run, training.sample_training_metrics(run.id, services, _POINTS))
