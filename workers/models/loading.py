"""Loading a model and its tokenizer: a folder under the models root, or a hub id at a revision. Safetensors only.

What is loaded is what was named: sizes, tensors and tokenizer are checked against one another before a tensor is read,
and the identity covers every file that was read. `transformers` takes seconds to import, so only `load_model` and
`check_model` do: workers start sooner, and training does not need it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from tokenizers import Tokenizer

from service.artifacts.atomic import sha256_file
from service.artifacts.manifest import canonical_json
from service.artifacts.model_folders import CONFIG, TOKENIZER_FILES, ModelFolder
from service.contracts.model_config import ModelConfig
from service.contracts.site_names import SiteNames
from service.errors import Conflict
from service.estimates.shapes import ModelShape, decoder_shape
from workers.devices.memory import cached_until_other_work
from workers.models.building import build_empty
from workers.models.decoder import Decoder
from workers.models.gpt2 import GPT2
from workers.models.hub import open_model_folder
from workers.models.interface import HookedModel, ModelSizes, OutputMap
from workers.models.tokenizer import check_vocabulary, read_tokenizer
from workers.models.weights import INDEX, Weights, find_weights, weight_files

FolderModel = GPT2 | Decoder
FolderState = tuple[tuple[str, int, int], ...]
Model_co = TypeVar("Model_co", bound=HookedModel, covariant=True)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LoadedModel(Generic[Model_co]):
    """A model on its device, its tokenizer, and the identity of both as manifests record it."""

    model: Model_co
    tokenizer: Tokenizer
    identity: dict[str, Any]


@dataclass(frozen=True)
class CheckedModel:
    """A model whose files fit together, before its weights are read.

    Attributes:
        notes: what was done to names of tensors, for people.
        has_output: whether it has an output map, which a loss needs.
        shape: the sizes that determine its cost; None for a model that was trained here.
    """

    sizes: ModelSizes
    site_names: SiteNames
    tokenizer: Tokenizer
    notes: list[str]
    has_output: bool = True
    shape: ModelShape | None = None


def check_model(name: str, revision: str | None, models_root: Path) -> CheckedModel:
    """The sizes and the tokenizer of a model whose weights have every tensor; raises the errors of `load_model`."""
    folder = open_model_folder(name, revision, models_root)
    config = folder.read_config()
    _, weights, tokenizer = _check(folder, config)
    return CheckedModel(
        _sizes(config), config.site_names, tokenizer, _notes(weights), weights.has_output, decoder_shape(config)
    )


def read_content(name: str, revision: str | None, models_root: Path) -> str:
    """The identity of a model's content without loading its weights: a digest of the files that are read."""
    return _content(_file_hashes(open_model_folder(name, revision, models_root)))


def load_tokenizer(name: str, revision: str | None, models_root: Path) -> Tokenizer:
    """The tokenizer stored with the model; raises the errors of `read_tokenizer` and `open_model_folder`."""
    return read_tokenizer(open_model_folder(name, revision, models_root, weights=False).path)


def tokenizer_hashes(name: str, revision: str | None, models_root: Path) -> dict[str, str]:
    """SHA-256 of the files of a model's tokenizer, by name."""
    folder = open_model_folder(name, revision, models_root, weights=False).path
    return {file: sha256_file(folder / file) for file in TOKENIZER_FILES if (folder / file).exists()}


def load_model(
    name: str, revision: str | None, models_root: Path, device: torch.device, dtype: str, *, output: bool = False
) -> LoadedModel[FolderModel]:
    """The model in `dtype` on `device`; the last one is cached until a file of its folder changes.

    Args:
        output: whether an output map that is not tied is read too, as a loss needs it.

    Raises:
        UnsupportedModel: the family is not supported; the weights are not safetensors, are damaged, or are not those
            of the configuration; the tokenizer cannot be read.
        InvalidInput: there is no such folder and no such model on the hub (or the hub cannot be reached), there is no
            tokenizer, or it has tokens that the model lacks.
        Conflict: a file changed while the model was read.
    """
    folder = open_model_folder(name, revision, models_root)
    return _load_model(folder, device, dtype, _state(folder), output)


@lru_cache(maxsize=1)  # consecutive segments use the same model, and memory holds one
def _load_model(
    folder: ModelFolder, device: torch.device, dtype: str, state: FolderState, output: bool
) -> LoadedModel[FolderModel]:
    config = folder.read_config()
    empty, weights, tokenizer = _check(folder, config)
    model = _fill(empty, weights, DTYPES[dtype])
    head = weights.read_head(DTYPES[dtype]) if output else None
    hashes = _file_hashes(folder)
    if _state(folder) != state:
        raise Conflict("a file of the model changed while it was read", field="model")
    identity = {
        "model": folder.id,
        "revision": folder.commit,
        "weights_sha256": {name: sha256 for name, sha256 in hashes.items() if name.endswith(".safetensors")},
        "tokenizer_sha256": {name: sha256 for name, sha256 in hashes.items() if name in TOKENIZER_FILES},
        "content": _content(hashes),
        "config": model.config.to_diff_dict() | {"dtype": dtype, "family": config.family.model_type},
        "notes": _notes(weights),
    }
    torch.nn.Module.to(model, device)
    output_map = _output_map(model, weights, None if head is None else head.to(device), config.logit_cap)
    if config.family.model_type == "gpt2":
        return LoadedModel(GPT2(model, output_map), tokenizer, identity)
    return LoadedModel(Decoder(model, config.family, _sizes(config), output_map), tokenizer, identity)


cached_until_other_work(_load_model.cache_clear)


def _fill(empty: Any, weights: Weights, dtype: torch.dtype) -> Any:
    empty.load_state_dict(weights.read(dtype), strict=True, assign=True)
    return empty.requires_grad_(requires_grad=False)


def _output_map(model: Any, weights: Weights, head: torch.Tensor | None, cap: float | None) -> OutputMap | None:
    weight = model.get_input_embeddings().weight if weights.tied else head
    return None if weight is None else OutputMap(weight, cap=cap)


def _check(folder: ModelFolder, config: ModelConfig) -> tuple[Any, Weights, Tokenizer]:
    """The model without weights, the weights that it lacks, and the tokenizer."""
    weights = find_weights(weight_files(folder.path), config)
    weights.check_blocks(config)
    empty = build_empty(config)
    weights.check({name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}, config)
    tokenizer = read_tokenizer(folder.path)
    check_vocabulary(tokenizer, config.d_vocab)
    return empty, weights, tokenizer


def _sizes(config: ModelConfig) -> ModelSizes:
    return ModelSizes(config.n_layers, config.n_ctx, config.d_model, config.n_heads, config.d_vocab)


def _notes(weights: Weights) -> list[str]:
    notes = [f"the prefix {prefix!a} of tensor names was left out" for prefix in weights.prefixes]
    if weights.head_as_embedding:
        notes.append("the weights hold the tied lm_head.weight alone; it is used as the embedding")
    return notes


def _files(folder: ModelFolder) -> list[Path]:
    """The files of a folder that determine its activations."""
    others = (CONFIG, *TOKENIZER_FILES, INDEX)
    return sorted(
        [*weight_files(folder.path), *(folder.path / name for name in others if (folder.path / name).exists())]
    )


def _state(folder: ModelFolder) -> FolderState:
    stats = [(path.name, path.stat()) for path in _files(folder)]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _file_hashes(folder: ModelFolder) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in _files(folder)}


def _content(hashes: dict[str, str]) -> str:
    return hashlib.sha256(canonical_json(hashes)).hexdigest()
