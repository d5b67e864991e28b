"""`/v1/sites`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.bodies import StrictRoute
from service.api.problems import RESPONSES
from service.api.services import ServicesDep
from service.artifacts.model_folders import find_model_folder
from service.contracts.base import Text
from service.contracts.run_models import parse_run_model
from service.contracts.site_list import ModelSites, describe_sites
from service.errors import ModelNotHere
from service.jobs.workload import WorkloadModel

router = APIRouter(tags=["about"], route_class=StrictRoute, responses=RESPONSES)


@router.get("/v1/sites")
def list_sites(
    services: ServicesDep,
    model: Annotated[Text, Query(description="a folder under the models root, or a kept model run:{id}[@step]")],
    revision: Annotated[Text | None, Query(description="commit, branch or tag in a hub's cache")] = None,
) -> ModelSites:
    """Every site of a model, in the order of its forward pass, with the names that libraries give it."""
    kept = parse_run_model(model)
    if kept is not None:
        with services.catalog.read() as connection:
            shape = WorkloadModel(services.settings).kept_model(connection, kept)
        return describe_sites(model, shape.site_names, shape.d_model, shape.n_ctx)
    folder = find_model_folder(model, revision, services.settings.models_root)
    if folder is None:
        detail = "the model is not under the models root; its sites are known once its config.json is there"
        raise ModelNotHere(detail, field="model")
    config = folder.read_config()
    return describe_sites(model, config.site_names, config.d_model, config.n_ctx)
