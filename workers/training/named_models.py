"""The model that an extraction names: a folder, a model of the hub, or one that a training run has kept."""

from __future__ import annotations

from collections.abc import Callable

import torch

from service.contracts.extraction import ExtractionSpec
from service.contracts.run_models import RunModel, parse_run_model
from service.settings import Settings
from workers.models.interface import HookedModel
from workers.models.loading import LoadedModel, load_model
from workers.training.kept import load_kept


def load_named_model(
    spec: ExtractionSpec,
    kept_sha256: Callable[[RunModel], str],
    settings: Settings,
    device: torch.device,
    dtype: str | None = None,
) -> LoadedModel[HookedModel]:
    """The model of `spec.model` on `device`, in `dtype` or else the spec's.

    Args:
        kept_sha256: gives the SHA-256 of a kept model's manifest; called for kept models only.

    Raises:
        InvalidInput, UnsupportedModel, CorruptArtifact: see `load_model` and `load_kept`.
    """
    dtype = dtype or spec.dtype
    kept = parse_run_model(spec.model)
    if kept is None:
        return load_model(spec.model, spec.revision, settings.models_root, device, dtype)
    return load_kept(kept, kept_sha256(kept), settings.artifacts_root, settings.models_root, device, dtype)
