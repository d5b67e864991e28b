"""The model that an extraction names: a folder, a model of the hub, or one that a training run has kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tokenizers import Tokenizer

from service.contracts.extraction import ExtractionSpec
from service.contracts.run_models import RunModel, parse_run_model
from service.errors import InvalidInput
from service.settings import Settings
from workers.models.hub import open_model_folder
from workers.models.interface import HookedModel
from workers.models.loading import LoadedModel, load_model
from workers.models.prefixed import PrefixedModel
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
    if kept is not None:
        return load_kept(kept, kept_sha256(kept), settings.artifacts_root, settings.models_root, device, dtype)
    loaded = load_model(spec.model, spec.revision, settings.models_root, device, dtype, output=spec.loss)
    if spec.bos == "none":
        return loaded
    bos = bos_token(spec, settings, loaded.tokenizer)
    identity = loaded.identity | {"bos": {"id": bos, "token": loaded.tokenizer.id_to_token(bos)}}
    return LoadedModel(PrefixedModel(loaded.model, bos), loaded.tokenizer, identity)


def bos_token(spec: ExtractionSpec, settings: Settings, tokenizer: Tokenizer) -> int:
    """The id of the token with which the model's texts begin, by the files of its tokenizer.

    Raises:
        InvalidInput: they name none, or one that the tokenizer does not have.
    """
    folder = open_model_folder(spec.model, spec.revision, settings.models_root, weights=False)
    token = folder.bos_token()
    found = None if token is None else tokenizer.token_to_id(token)
    if found is None:
        raise InvalidInput("the model's tokenizer has no BOS token", field="spec.bos")
    return found
