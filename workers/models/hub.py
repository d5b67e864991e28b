"""Models by name: a folder under the models root, or a hub's model at one commit, in the cache of the hub's library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.artifacts.model_folders import CONFIG, TOKENIZER_FILES, ModelFolder, find_model_folder
from service.errors import InvalidInput

_ANSWER_S = 10.0  # of the one request that finds a commit
_NO_FOLDER = "no such folder under the models root (RADIUS_MODELS_DIR; by default `models` in the data directory)"
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


def open_model_folder(name: str, revision: str | None, models_root: Path, *, weights: bool = True) -> ModelFolder:
    """The folder of a model; a hub's model is downloaded where it is not in the hub's cache.

    Args:
        weights: whether the weights are needed, or the configuration and the tokenizer alone.

    Raises:
        InvalidInput: there is no such folder, and the hub has no such model or cannot be reached.
    """
    folder = find_model_folder(name, revision, models_root)
    if folder is not None:
        return folder
    commit = find_commit(name, revision)
    return ModelFolder(name, _snapshot(name, commit, weights=weights), commit)


def find_commit(name: str, revision: str | None) -> str:
    """The commit of a hub's model, by requests that are not repeated; that of the cache where the hub is away.

    The cache remembers which commit a branch had, so that the model can be used without the hub later.

    Raises:
        InvalidInput: the hub has no such model or revision, or it cannot be reached and the cache has none.
    """
    from huggingface_hub import HfApi, errors, snapshot_download

    if _is_commit(revision):
        return str(revision)
    away: Exception | None = None
    try:
        HfApi().model_info(name, revision=revision, timeout=_ANSWER_S)
    except errors.RevisionNotFoundError as error:
        raise InvalidInput("the hub's model has no such revision", field="revision") from error
    except errors.GatedRepoError as error:
        detail = "the hub's model is gated: accept its terms there and set HF_TOKEN for the workers"
        raise InvalidInput(detail, field="model") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        detail = f"{_NO_FOLDER}, and the hub has no such model (or it is private)"
        raise InvalidInput(detail, field="model") from error
    except Exception as error:  # the libraries of the network have no common class of errors
        away = error
    wanted: dict[str, Any] = {"revision": revision, "allow_patterns": [CONFIG]}
    try:
        return Path(snapshot_download(name, local_files_only=away is not None, **wanted)).name
    except (OSError, ValueError) as error:
        detail = f"{_NO_FOLDER}, and the hub cannot be reached"
        raise InvalidInput(f"{detail} ({type(away or error).__name__})", field="model") from error


def _is_commit(revision: str | None) -> bool:
    return revision is not None and len(revision) == 40 and not set(revision) - set("0123456789abcdef")


def _snapshot(name: str, commit: str, *, weights: bool) -> Path:
    from huggingface_hub import errors, snapshot_download

    patterns = [CONFIG, *TOKENIZER_FILES, *(_WEIGHTS if weights else ())]
    wanted: dict[str, Any] = {"revision": commit, "allow_patterns": patterns}
    try:
        return Path(snapshot_download(name, local_files_only=True, **wanted))
    except errors.LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(name, etag_timeout=_ANSWER_S, **wanted))
    except (OSError, ValueError) as error:
        detail = f"the hub's model could not be downloaded ({type(error).__name__})"
        raise InvalidInput(detail, field="model") from error
