"""`/v1/profiles`."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from service.api.bodies import StrictRoute
from service.api.figures import FIGURE_RESPONSES, Ending, figure_response
from service.api.files import tag_report
from service.api.problems import RESPONSES
from service.api.services import PageDep, Services, ServicesDep
from service.artifacts.report import ProfileFolder
from service.catalog import profiles as catalog
from service.contracts.base import Identifier, Page
from service.contracts.profile import Profile, ProfileSummary

router = APIRouter(prefix="/v1/profiles", tags=["profiles"], route_class=StrictRoute, responses=RESPONSES)


@router.get("")
def list_profiles(services: ServicesDep, page: PageDep) -> Page[ProfileSummary]:
    """Published profiles, newest first."""
    with services.catalog.read() as connection:
        data, following = catalog.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{profile_id}")
def get_profile(profile_id: Identifier, response: Response, services: ServicesDep) -> Profile:
    """Norms, distances, dimension, null models and hubs of every site of an analysis, by depth."""
    folder = _folder(services, profile_id)
    tag_report(response, folder)
    return folder.profile()


@router.get("/{profile_id}/figure.{ending}", response_class=FileResponse, responses=FIGURE_RESPONSES)
def get_profile_figure(profile_id: Identifier, ending: Ending, services: ServicesDep) -> FileResponse:
    """Distance, dimension and null ratios over depth with their intervals, as drawn when the profile was published."""
    return figure_response(_folder(services, profile_id), ending)


def _folder(services: Services, profile_id: str) -> ProfileFolder:
    with services.catalog.read() as connection:
        _, sha256 = catalog.get(connection, profile_id)
    return ProfileFolder(services.settings.artifacts_root / profile_id, sha256, services.digests)
