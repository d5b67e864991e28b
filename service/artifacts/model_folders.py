"""Model folders under the models root: plain folders, and those of a Hugging Face cache.

A cache has `models--{owner}--{name}/snapshots/{commit}/`, and `refs/{revision}` with the commit of a branch or tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.contracts.model_config import LARGEST_CONFIG, ModelConfig, read_config
from service.errors import InvalidInput, UnsupportedModel
from service.paths import leaves_root

CONFIG = "config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
_CACHED = re.compile(r"models--([^/]+)--([^/]+)")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a model; `commit` is known for a folder of a Hugging Face cache."""

    id: str
    path: Path
    commit: str | None = None

    def read_config(self) -> ModelConfig:
        """Family and sizes; raises `UnsupportedModel` where no readable `config.json` names a supported family."""
        return read_config(self.config_bytes())

    def config_bytes(self) -> bytes:
        """The bytes of `config.json`; raises `UnsupportedModel` where it is missing or cannot be read."""
        try:
            with (self.path / CONFIG).open("rb") as file:
                return file.read(LARGEST_CONFIG + 1)
        except FileNotFoundError as error:
            raise UnsupportedModel("the model's folder has no config.json", field="model") from error
        except OSError as error:
            raise UnsupportedModel(f"config.json cannot be read ({error.strerror})", field="model") from error

    def bos_token(self) -> str | None:
        """The token with which texts begin, as the tokenizer's files spell it; None where they name none."""
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            try:
                token = json.loads((self.path / name).read_bytes()).get("bos_token")
            except (OSError, ValueError, AttributeError, RecursionError):
                continue
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                return token
        return None


def find_model_folder(name: str, revision: str | None, models_root: Path) -> ModelFolder | None:
    """The folder of that name under the models root; None where the name is left to the hub.

    Raises:
        InvalidInput: the name leads out of the models root, a plain folder is named with a revision, or the cache has
            no such revision.
    """
    if leaves_root(name):
        raise InvalidInput("a model is a hub id or a folder under the models root", field="model")
    if _is_folder(models_root / name):
        if revision is not None:
            detail = "only a model of the hub has a revision; this is a folder under the models root"
            raise InvalidInput(detail, field="revision")
        return ModelFolder(name, models_root / name)
    cache = models_root / f"models--{name.replace('/', '--')}"
    if name.count("/") != 1 or not _is_folder(cache / "snapshots"):
        return None
    commit = _commit(cache, revision or "main")
    if commit is None:
        raise InvalidInput("the models root has no such revision of the model", field="revision")
    return ModelFolder(name, cache / "snapshots" / commit, commit)


def list_model_folders(models_root: Path) -> list[ModelFolder]:
    """All folders with a `config.json`, one or two levels deep, and the main revisions of a cache, by id."""
    plain = [*models_root.glob(f"*/{CONFIG}"), *models_root.glob(f"*/*/{CONFIG}")]
    found = [ModelFolder(path.parent.relative_to(models_root).as_posix(), path.parent) for path in plain]
    return sorted([*found, *_cached(models_root)], key=lambda folder: folder.id)


def _cached(models_root: Path) -> Iterator[ModelFolder]:
    for path in models_root.glob("models--*--*"):
        match, commit = _CACHED.fullmatch(path.name), _commit(path, "main")
        if match is not None and commit is not None:
            yield ModelFolder(f"{match[1]}/{match[2]}", path / "snapshots" / commit, commit)


def _commit(cache: Path, revision: str) -> str | None:
    """The snapshot that a branch, a tag or a commit names; None where it is not there."""
    if not _REVISION.fullmatch(revision):
        return None
    try:
        commit = (cache / "refs" / revision).read_text().strip()
    except OSError:
        commit = revision
    return commit if _REVISION.fullmatch(commit) and _is_folder(cache / "snapshots" / commit) else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name longer than the file system allows
        return False
