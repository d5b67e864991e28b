"""Loading a model and its tokenizer: a folder under the models root, or a hub id at a revision. Safetensors only.

`transformers` takes seconds to import, so functions import it when they load a model: workers start sooner, and
training never needs it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from tokenizers import Tokenizer

from service.artifacts.atomic import sha256_file
from service.artifacts.manifest import canonical_json
from service.errors import InvalidInput, UnsupportedModel
from service.paths import leaves_root
from workers.models.gpt2 import GPT2, sizes_of
from workers.models.interface import HookedModel, ModelSizes

FolderState = tuple[tuple[str, int, int], ...]
Model_co = TypeVar("Model_co", bound=HookedModel, covariant=True)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LoadedModel(Generic[Model_co]):
    """A model on its device, its tokenizer, and the identity of both as manifests record it."""

    model: Model_co
    tokenizer: Tokenizer
    identity: dict[str, Any]


def read_sizes(name: str, revision: str | None, models_root: Path) -> ModelSizes:
    """The sizes of a model from its configuration alone; raises the errors of `load_model`."""
    return sizes_of(_read_config(*_locate(name, revision, models_root)))


def read_content(name: str, revision: str | None, models_root: Path) -> str | None:
    """The identity of a model's content without loading its weights: a digest of its files, or its commit on the hub.

    None where the hub names no commit.
    """
    where, options = _locate(name, revision, models_root)
    return _content_of(_file_hashes(Path(where)), _read_config(where, options))


def load_tokenizer(name: str, revision: str | None, models_root: Path) -> Tokenizer:
    """The fast tokenizer stored with the model.

    Raises:
        InvalidInput: the model has no tokenizer.
        UnsupportedModel: the tokenizer has no fast version.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    where, options = _locate(name, revision, models_root)
    try:
        wrapped = AutoTokenizer.from_pretrained(where, use_fast=True, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise InvalidInput(_cause("no tokenizer was found with the model", error), field="model") from error
    if not isinstance(wrapped, PreTrainedTokenizerFast):
        raise UnsupportedModel("the model's tokenizer has no fast version, which gives offsets", field="model")
    tokenizer = wrapped.backend_tokenizer
    if tokenizer.get_vocab_size() <= len(wrapped.all_special_tokens):
        # The library makes an empty tokenizer where the files are missing.
        raise InvalidInput("no tokenizer was found with the model", field="model")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_model(
    name: str, revision: str | None, models_root: Path, device: torch.device, dtype: str
) -> LoadedModel[GPT2]:
    """The model in `dtype` on `device`; the last one is cached until a file of its folder changes.

    Raises:
        UnsupportedModel: the architecture is not GPT-2, or the weights are not safetensors.
        InvalidInput: there is no such folder, and no such model on the hub (or the hub cannot be reached).
    """
    where, _ = _locate(name, revision, models_root)
    files = sorted(Path(where).iterdir()) if Path(where).is_dir() else []
    state = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return _load_model(name, revision, models_root, device, dtype, state)


@lru_cache(maxsize=1)  # consecutive segments use the same model, and memory holds one
def _load_model(
    name: str, revision: str | None, models_root: Path, device: torch.device, dtype: str, _state: FolderState
) -> LoadedModel[GPT2]:
    from transformers import GPT2Model

    where, options = _locate(name, revision, models_root)
    config = _read_config(where, options)
    try:
        model = GPT2Model.from_pretrained(
            where,
            config=config,
            dtype=DTYPES[dtype],
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=False,
            **options,
        )
    except (OSError, ValueError) as error:
        raise UnsupportedModel(_cause("the model has no safetensors weights", error), field="model") from error
    tokenizer = load_tokenizer(name, revision, models_root)
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise InvalidInput("the tokenizer has more tokens than the model", field="model")
    hashes = _file_hashes(Path(where))
    identity = {
        "model": name,
        "revision": getattr(config, "_commit_hash", None) or revision,
        "weights_sha256": _weights_of(hashes),
        "content": _content_of(hashes, config),
        "config": config.to_diff_dict() | {"dtype": dtype},
    }
    torch.nn.Module.to(model, device)
    return LoadedModel(GPT2(model), tokenizer, identity)


def _locate(name: str, revision: str | None, models_root: Path) -> tuple[str, dict[str, Any]]:
    if leaves_root(name):
        raise InvalidInput("a model is a hub id or a folder under the models root", field="model")
    folder = models_root / name
    if folder.is_dir():
        return os.fspath(folder), {"local_files_only": True}
    if Path(name).exists():  # the library would read that instead of the hub
        raise InvalidInput("a model is a hub id or a folder under the models root", field="model")
    return name, {"revision": revision}


def _read_config(where: str, options: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            _cause("no such folder under the models root, and the hub did not give such a model", error), field="model"
        ) from error
    if config.model_type != "gpt2":
        raise UnsupportedModel(
            f"the model is a {config.model_type!a}; only the GPT-2 family is supported", field="model"
        )
    if config.add_cross_attention:
        raise UnsupportedModel("a GPT-2 with cross-attention is not supported", field="model")
    return config


def _file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the files in a model's folder that determine its activations; empty for a model of the hub."""
    files = [path for path in folder.glob("*") if path.name == "config.json" or path.suffix == ".safetensors"]
    files += folder.glob("*.safetensors.index.json")
    return {path.name: sha256_file(path) for path in sorted(files)}


def _weights_of(hashes: dict[str, str]) -> dict[str, str] | None:
    return {name: sha256 for name, sha256 in hashes.items() if name.endswith(".safetensors")} or None


def _content_of(hashes: dict[str, str], config: Any) -> str | None:
    return hashlib.sha256(canonical_json(hashes)).hexdigest() if hashes else getattr(config, "_commit_hash", None)


def _cause(what: str, error: Exception) -> str:
    return f"{what} ({type(error).__name__})"
