"""Activation sets, radius reports and their comparison, energies, profiles, reproductions."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from service.api import activations, energy, profiles, radius, reproductions
from service.api.services import PageDep, PageQuery, ServicesDep
from service.contracts.base import Identifier
from service.dashboard.curves import energy_charts, profile_charts
from service.dashboard.distances import (
    NULL_NAMES,
    comparison_chart,
    dimension_chart,
    distance_chart,
    sample_chart,
)
from service.dashboard.errors import PageRoute
from service.dashboard.rendering import page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_PAIRS = 10
_OTHERS = PageQuery(100, None)  # reports that the comparison suggests


@router.get("/activations", response_class=HTMLResponse)
def get_sets(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Activation sets, newest first, and an upload of vectors."""
    found = activations.list_activations(services, query)
    return page(request, "sets.html", found=found, limits=services.settings.limits())


@router.get("/activations/{set_id}", response_class=HTMLResponse)
def get_set(
    set_id: Identifier,
    request: Request,
    services: ServicesDep,
    after: Annotated[int | None, Query(ge=-1, le=2**53)] = None,
) -> HTMLResponse:
    """One set: what was measured, its rows with their texts, its reports."""
    found = activations.get_activations(set_id, Response(), services)
    rows = activations.list_rows(set_id, services, 20, after)
    reports = radius.list_radius_reports(services, _OTHERS, set_id).data
    return page(request, "set.html", set=found, rows=rows, reports=reports)


@router.get("/radius", response_class=HTMLResponse)
def get_radius_reports(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Radius reports, newest first."""
    return page(request, "radius_list.html", found=radius.list_radius_reports(services, query))


@router.get("/radius/{report_id}", response_class=HTMLResponse)
def get_radius_report(
    report_id: Identifier,
    request: Request,
    services: ServicesDep,
    order: Annotated[Literal["closest", "farthest"], Query()] = "closest",
) -> HTMLResponse:
    """One report: how far, how sure, against what."""
    report = radius.get_radius_report(report_id, Response(), services)
    others = [other for other in radius.list_radius_reports(services, _OTHERS).data if other.id != report_id]
    return page(
        request,
        "radius.html",
        report=report,
        charts=[chart for chart in (distance_chart(report), dimension_chart(report), sample_chart(report)) if chart],
        null_names=NULL_NAMES,
        pairs=radius.list_radius_neighbors(report_id, services, _PAIRS, order).data,
        order=order,
        others=others,
        files=radius.neighbors_files(services, report_id),
    )


@router.get("/compare", response_class=HTMLResponse)
def get_comparison(
    request: Request,
    services: ServicesDep,
    report: Annotated[list[Identifier], Query(min_length=1, max_length=8)],
) -> HTMLResponse:
    """Radius reports side by side."""
    found = [radius.get_radius_report(one, Response(), services) for one in dict.fromkeys(report)]
    return page(request, "compare.html", reports=found, chart=comparison_chart(found), null_names=NULL_NAMES)


@router.get("/energy", response_class=HTMLResponse)
def get_energy_reports(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Energy reports, newest first."""
    return page(request, "energy_list.html", found=energy.list_energy_reports(services, query))


@router.get("/energy/{report_id}", response_class=HTMLResponse)
def get_energy_report(report_id: Identifier, request: Request, services: ServicesDep) -> HTMLResponse:
    """One report: energies, the bounds held against every point, the blocks as a search."""
    report = energy.get_energy_report(report_id, Response(), services)
    return page(request, "energy.html", report=report, charts=energy_charts(report))


@router.get("/profiles", response_class=HTMLResponse)
def get_profiles(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Profiles, newest first."""
    return page(request, "profiles.html", found=profiles.list_profiles(services, query))


@router.get("/profiles/{profile_id}", response_class=HTMLResponse)
def get_profile(profile_id: Identifier, request: Request, services: ServicesDep) -> HTMLResponse:
    """One profile: distance, dimension and null ratios over depth."""
    profile = profiles.get_profile(profile_id, Response(), services)
    return page(request, "profile.html", profile=profile, charts=profile_charts(profile), null_names=NULL_NAMES)


@router.get("/reproductions", response_class=HTMLResponse)
def get_reproductions(request: Request, services: ServicesDep, query: PageDep) -> HTMLResponse:
    """Reproductions of the paper's claims, newest first."""
    return page(request, "reproductions.html", found=reproductions.list_reproductions(services, query))


@router.get("/reproductions/{reproduction_id}", response_class=HTMLResponse)
def get_reproduction(reproduction_id: Identifier, request: Request, services: ServicesDep) -> HTMLResponse:
    """One reproduction: the verdict of every claim, with its numbers and the rule."""
    return page(
        request,
        "reproduction.html",
        report=reproductions.get_reproduction_report(reproduction_id, Response(), services),
    )
