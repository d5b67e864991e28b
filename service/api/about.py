"""Presets, models, limits and health."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from service.api.problems import RESPONSES
from service.api.services import ServicesDep
from service.contracts.base import Contract, Page
from service.contracts.jobs import Preset
from service.contracts.presets import PRESETS

router = APIRouter(tags=["about"], responses={503: RESPONSES[503]})
_SIZES = {
    "n_layer": "n_layers",
    "n_positions": "n_ctx",
    "n_embd": "d_model",
    "n_head": "n_heads",
    "vocab_size": "d_vocab",
}


class Model(Contract):
    """A model folder under the models root."""

    id: str
    family: str | None
    supported: bool
    sizes: dict[str, int]


class Health(Contract):
    """Answer of a health check."""

    status: str


@router.get("/v1/presets")
def list_presets() -> Page[Preset]:
    """Named specs: what the paper states, and what is assumed where it is silent."""
    return Page(data=list(PRESETS), next=None)


@router.get("/v1/models")
def list_models(services: ServicesDep) -> Page[Model]:
    """Model folders under the models root. A hub id may be used as well, where the hub can be reached."""
    root = services.settings.models_root
    configs = sorted([*root.glob("*/config.json"), *root.glob("*/*/config.json")])
    return Page(data=[_model(root, path) for path in configs], next=None)


@router.get("/v1/limits")
def get_limits(services: ServicesDep) -> dict[str, int]:
    """The limits in force; each is a setting."""
    return services.settings.limits()


@router.get("/healthz")
async def get_health() -> Health:
    """200 while the process serves."""
    return Health(status="ok")


@router.get("/readyz")
async def get_readiness(services: ServicesDep) -> Health:
    """200 while jobs can be accepted; 503 with the cause otherwise, within a second."""
    await services.readiness.check()
    return Health(status="ready")


def _model(root: Path, path: Path) -> Model:
    try:
        config: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        config = {}
    config = config if isinstance(config, dict) else {}
    family = config.get("model_type")
    weights = any(path.parent.glob("*.safetensors"))
    return Model(
        id=path.parent.relative_to(root).as_posix(),
        family=family if isinstance(family, str) else None,
        supported=family == "gpt2" and weights,
        sizes={ours: config[theirs] for theirs, ours in _SIZES.items() if isinstance(config.get(theirs), int)},
    )
