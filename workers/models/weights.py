"""The weights of a model folder, read strictly: every tensor that the model has, and no other, in its shape.

A library that loads what it can leaves the rest at random: a tensor that is missing, misnamed or of another shape would
give vectors of no model, in silence. So names and shapes are compared before a tensor is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from service.contracts.model_config import ModelConfig
from service.errors import UnsupportedModel

INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_PREFIXES = ("module.", "_orig_mod.")  # of data parallelism, of torch.compile
_BUFFER = re.compile(  # constants that older files hold
    r"(^|\.)(h|layers)\.\d+\.(attn|crossattention|attention|self_attn)\.((masked_)?bias|rotary_emb\.inv_freq)$"
)
_FLOATS = {"F64", "F32", "F16", "BF16"}
_POINTER = b"version https://git-lfs"
_HEADS = ("lm_head.weight", "embed_out.weight")
_SHOWN = 3  # names in a message


@dataclass(frozen=True)
class StoredTensor:
    """The place of a tensor: its file, its name there, its shape."""

    file: Path
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Weights:
    """The tensors of a folder by the names that the library's stack of blocks gives them.

    Attributes:
        head: the output map, where it is stored; only losses need it.
        prefixes: unusual prefixes that were stripped from names.
        head_as_embedding: whether the embedding is the tied output map, which alone is stored.
        tied: whether the embedding is the output map.
    """

    tensors: Mapping[str, StoredTensor]
    head: StoredTensor | None = None
    prefixes: tuple[str, ...] = ()
    head_as_embedding: bool = False
    tied: bool = True

    @property
    def has_output(self) -> bool:
        """Whether there is an output map."""
        return self.tied or self.head is not None

    def check_blocks(self, config: ModelConfig) -> None:
        """Raise `UnsupportedModel` unless there are tensors of as many blocks as the configuration has."""
        block = re.compile(rf"{re.escape(config.family.blocks)}\.(\d+)\.")
        blocks = {int(match[1]) for name in self.tensors if (match := block.match(name))}
        if blocks != set(range(config.n_layers)):
            key = config.family.keys["n_layers"][0]
            detail = f"config.json: {key} is {config.n_layers}; the weights have {len(blocks)} blocks"
            raise UnsupportedModel(detail, field="model")

    def check(self, expected: Mapping[str, tuple[int, ...]], config: ModelConfig) -> None:
        """Raise `UnsupportedModel`, naming tensors, unless they are those expected, in those shapes."""
        _refuse("the weights lack", [name for name in expected if name not in self.tensors])
        _refuse("the weights have more than the model:", [name for name in self.tensors if name not in expected])
        wrong = [name for name, shape in expected.items() if self.tensors[name].shape != shape]
        if wrong:
            given, said = list(self.tensors[wrong[0]].shape), list(expected[wrong[0]])
            _refuse(f"tensors of another shape than config.json says ({given}, not {said}):", wrong)
        if self.head is not None and self.head.shape != (config.d_vocab, config.d_model):
            given = list(self.head.shape)
            _refuse(f"the output map has another shape than config.json says ({given}):", [self.head.name])

    def read(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """All tensors in `dtype`, in memory of their own: a mapped file that is cut short would end the process."""
        found: dict[str, torch.Tensor] = {}
        for file in dict.fromkeys(stored.file for stored in self.tensors.values()):
            with safe_open(file, framework="pt") as opened:
                for name, stored in self.tensors.items():
                    if stored.file == file:
                        found[name] = opened.get_tensor(stored.name).to(dtype, copy=True)
        return found

    def read_head(self, dtype: torch.dtype) -> torch.Tensor | None:
        """An output map that is not tied, in memory of its own; None where there is none."""
        if self.tied or self.head is None:
            return None
        with safe_open(self.head.file, framework="pt") as opened:
            return opened.get_tensor(self.head.name).to(dtype, copy=True)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model: `model.safetensors`, or those that the index names, all in the folder itself.

    Raises:
        UnsupportedModel: there are none, or the index is damaged or names a file elsewhere.
    """
    if (folder / _WHOLE).exists():
        return [folder / _WHOLE]
    if not (folder / INDEX).exists():
        detail = "the model has no safetensors weights (model.safetensors, or an index of several)"
        raise UnsupportedModel(detail, field="model")
    try:
        names = set(json.loads((folder / INDEX).read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnsupportedModel(f"{INDEX} is damaged ({type(error).__name__})", field="model") from error
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[^/\\\0]{1,200}\.safetensors", name):
            raise UnsupportedModel(f"{INDEX} names a file outside the model's folder", field="model")
        if not (folder / name).is_file():
            raise UnsupportedModel(f"{INDEX} names {name!a}, which is not there", field="model")
    return [folder / name for name in sorted(names)]


def find_weights(files: Sequence[Path], config: ModelConfig) -> Weights:
    """The tensors in these files, by their headers.

    Raises:
        UnsupportedModel: a file is damaged, a tensor is quantised, or two have one name.
    """
    found: dict[str, StoredTensor] = {}
    prefixes: set[str] = set()
    root = f"{config.family.root}."
    for file in files:
        for stored in _headers(file):
            name, stripped = _strip(stored.name, root)
            prefixes |= stripped
            if name in found:
                raise UnsupportedModel(f"two tensors of the weights are both {name[:100]!a}", field="model")
            if not _is_buffer(name):
                found[name] = stored
    heads = [found.pop(name) for name in _HEADS if name in found]
    head, embedding = next(iter(heads), None), f"{config.family.embedding}.weight"
    alone = head is not None and config.tied and embedding not in found
    if head is not None and alone:
        found[embedding] = head
    return Weights(found, head, tuple(sorted(prefixes)), alone, config.tied)


def _headers(file: Path) -> list[StoredTensor]:
    with file.open("rb") as opened:
        if opened.read(len(_POINTER)) == _POINTER:
            detail = f"{file.name} is a pointer of Git LFS, not weights; fetch them by `git lfs pull`"
            raise UnsupportedModel(detail, field="model")
    try:
        with safe_open(file, framework="pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118, it is no mapping
            found = [StoredTensor(file, name, tuple(one.get_shape())) for name, one in slices.items()]
            dtypes = {name: one.get_dtype() for name, one in slices.items()}
    except (SafetensorError, OSError) as error:
        reason = str(error).split("\n", 1)[0][:120]
        detail = f"{file.name} is damaged or cut short ({reason!a})"
        raise UnsupportedModel(detail, field="model") from error
    for name, dtype in dtypes.items():
        if dtype not in _FLOATS and not _is_buffer(name):
            detail = f"{file.name}: {name[:100]!a} is of type {dtype}; quantised weights are not supported"
            raise UnsupportedModel(detail, field="model")
    return found


def _is_buffer(name: str) -> bool:
    return _BUFFER.search(name) is not None


def _strip(name: str, root: str) -> tuple[str, set[str]]:
    """A name without the module of the language model that holds the blocks, and the unusual prefixes it had."""
    stripped: set[str] = set()
    while (prefix := next((one for one in (*_PREFIXES, root) if name.startswith(one)), None)) is not None:
        name = name.removeprefix(prefix)
        stripped |= {prefix} - {root}
    return name, stripped


def _refuse(what: str, names: list[str]) -> None:
    if names:
        shown = ", ".join(f"{name[:100]!a}" for name in names[:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise UnsupportedModel(f"{what} {shown}{more}", field="model")
