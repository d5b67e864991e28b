"""Presets, models, limits and health."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from service.api.bodies import StrictRoute
from service.api.problems import RESPONSES
from service.api.services import OpenServicesDep, ServicesDep
from service.artifacts.model_folders import ModelFolder, list_model_folders
from service.contracts.base import Contract, Page, WorkerRole
from service.contracts.claims import CLAIMS, ClaimDefinition
from service.contracts.jobs import Preset
from service.contracts.model_config import parse_config
from service.contracts.models import Model
from service.contracts.presets import PRESETS
from service.errors import UnsupportedModel

router = APIRouter(tags=["about"], route_class=StrictRoute, responses={503: RESPONSES[503]})
_LONGEST_NAME = 64  # of a family that a config.json names


class Health(Contract):
    """Answer of a health check."""

    status: str


class ReadinessAnswer(Contract):
    """Whether jobs are accepted, and which roles have no live worker, so that their jobs wait."""

    status: Literal["ready", "degraded"]
    missing: list[WorkerRole] = []


@router.get("/v1/presets")
def list_presets() -> Page[Preset]:
    """Named specs: what the paper states, and what is assumed where it is silent."""
    return Page(data=list(PRESETS), next=None)


@router.get("/v1/claims")
def list_claims() -> Page[ClaimDefinition]:
    """The paper's claims: what is printed, the rule and its tolerance, and the parts and presets that they need."""
    return Page(data=list(CLAIMS), next=None)


@router.get("/v1/models")
def list_models(services: ServicesDep) -> Page[Model]:
    """Model folders under the models root. A hub id may be used as well, where the hub can be reached."""
    folders = list_model_folders(services.settings.models_root)
    return Page(data=[_model(folder) for folder in folders], next=None)


@router.get("/v1/limits")
def get_limits(services: ServicesDep) -> dict[str, int]:
    """The limits in force; each is a setting."""
    return services.settings.limits()


@router.get("/healthz")
async def get_health() -> Health:
    """200 while the process serves."""
    return Health(status="ok")


@router.get("/readyz", response_model_exclude_defaults=True)
async def get_readiness(services: OpenServicesDep) -> ReadinessAnswer:
    """200 while jobs can be accepted; 503 with the cause otherwise, within a second.

    `degraded` names the roles without a live worker: jobs that need one are accepted and wait.
    """
    missing = await services.readiness.check()
    return ReadinessAnswer(status="degraded" if missing else "ready", missing=missing)


def _model(folder: ModelFolder) -> Model:
    family: object = None
    try:
        family = parse_config(folder.config_bytes()).get("model_type")
        sizes, reason = folder.read_config().sizes, None
        if not any(folder.path.glob("*.safetensors")):
            reason = "the folder has no safetensors weights"
    except UnsupportedModel as error:
        sizes, reason = {}, error.detail
    return Model(
        id=folder.id,
        family=family[:_LONGEST_NAME] if isinstance(family, str) else None,
        supported=reason is None,
        reason=reason,
        sizes=sizes,
    )
