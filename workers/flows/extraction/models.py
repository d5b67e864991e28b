"""The model that an extraction names: a folder, a hub's model, or one that a training run has kept."""

from __future__ import annotations

from dataclasses import replace

import torch

from service.catalog import training as catalog
from service.contracts.extraction import ExtractionSpec
from service.contracts.families import FAMILIES
from service.contracts.run_models import RunModel, parse_run_model
from service.contracts.site_names import SiteNames
from service.errors import InvalidInput
from workers.devices.device import choose_device
from workers.flows.engine.runtime import Runtime
from workers.models.interface import HookedModel
from workers.models.loading import CheckedModel, LoadedModel, check_model, read_content
from workers.training.named_models import bos_token, load_named_model


def open_model(spec: ExtractionSpec, current: Runtime, dtype: str | None = None) -> LoadedModel[HookedModel]:
    """The model on this worker's device, in the spec's dtype or another.

    Raises:
        InvalidInput: there is no such model.
    """
    return _open(spec, current, choose_device(current.settings.device), dtype)


def open_checked(spec: ExtractionSpec, current: Runtime) -> CheckedModel:
    """The model's sizes and tokenizer, for sampling, after its files were checked; raises what `open_model` does."""
    if parse_run_model(spec.model) is not None:
        loaded = _open(spec, current, torch.device("cpu"), "float32")
        family = FAMILIES[loaded.identity["config"]["family"]]
        return CheckedModel(loaded.model.sizes, SiteNames(family, loaded.model.sizes.n_layers), loaded.tokenizer, [])
    checked = check_model(spec.model, spec.revision, current.settings.models_root)
    if spec.bos == "none":
        return checked
    bos_token(spec, current.settings, checked.tokenizer)
    return replace(checked, sizes=replace(checked.sizes, n_ctx=checked.sizes.n_ctx - 1))


def model_content(spec: ExtractionSpec, current: Runtime) -> str | None:
    """A digest or commit that identifies the model by content; None where there is none."""
    named = parse_run_model(spec.model)
    if named is None:
        return read_content(spec.model, spec.revision, current.settings.models_root)
    return _sha256(named, current)


def _open(spec: ExtractionSpec, current: Runtime, device: torch.device, dtype: str | None) -> LoadedModel[HookedModel]:
    return load_named_model(spec, lambda named: _sha256(named, current), current.settings, device, dtype)


def _sha256(named: RunModel, current: Runtime) -> str:
    checkpoints = current.read(lambda connection: catalog.checkpoints(connection, named.run))
    kept = {checkpoint.step: checkpoint.sha256 for checkpoint in checkpoints}
    if named.step not in kept:
        raise InvalidInput("the run has kept no such model, or was deleted", field="spec.model")
    return kept[named.step]
