"""A user's file of vectors, `.npy` or `.safetensors`: its shape, and its rows one block at a time.

Nothing in the file is executed or unpickled, and every size that it declares is compared with the file first.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from service.errors import InvalidInput

Array = np.ndarray
Blocks = Callable[[], Iterator[Array]]
SHARD_BYTES = 16 * 2**20
_MAX_HEADER_BYTES = 2**20  # one tensor needs a hundred
_DTYPES = ("float16", "float32", "float64")
_SAFETENSORS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "float32"}
_SHOWN_NAMES = 10
# numpy reads a header as a Python literal, and Python's parser fails at times where two threads are in it and one
# collects garbage ("AST constructor recursion depth mismatch").
_parsing = Lock()


@dataclass(frozen=True)
class VectorFile:
    """The vectors of a file.

    Attributes:
        shape: (rows, d_model).
        blocks: gives the rows in order, in the dtype in which they are stored as a set.
        about: what a manifest records of the file: the tensor's name, and the dtype that was widened.
    """

    shape: tuple[int, int]
    blocks: Blocks
    about: dict[str, Any]


def open_vectors(source: Path, tensor: str | None = None) -> VectorFile:
    """Open a file and check what it declares.

    Args:
        tensor: name of the tensor in a `.safetensors` file of several.

    Raises:
        InvalidInput: not such a file, not one 2-D float array, or sizes that do not fit the file.
    """
    if not _is_npy(source):
        return _open_safetensors(source, tensor)
    if tensor is not None:
        raise InvalidInput("a .npy file has one array, without a name; `tensor` is for .safetensors", field="tensor")
    return _open_npy(source)


def _is_npy(source: Path) -> bool:
    with source.open("rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def _check_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.name not in _DTYPES:
        raise InvalidInput("vectors must be bfloat16 (.safetensors), float16, float32 or float64", field="file")
    if len(shape) != 2 or any(type(length) is not int or length < 1 for length in shape):
        raise InvalidInput("the array must have two dimensions, (rows, d_model), and at least one row", field="file")
    return shape[0], shape[1]


def _row_blocks(shape: tuple[int, int], itemsize: int) -> Iterator[slice]:
    step = max(1, SHARD_BYTES // (shape[1] * itemsize))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _open_npy(source: Path) -> VectorFile:
    with source.open("rb") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            with _parsing:
                declared, fortran_order, dtype = read_header(stream, max_header_size=10_000)
        except Exception as error:  # the header is a Python literal: numpy raises what its parser happens to raise
            raise InvalidInput("the .npy header is corrupt", field="file") from error
        start = stream.tell()
    shape = _check_array(declared, dtype)
    if start + shape[0] * shape[1] * dtype.itemsize != source.stat().st_size:
        raise InvalidInput("the .npy header declares another size than the file has", field="file")

    def blocks() -> Iterator[Array]:
        order = "F" if fortran_order else "C"
        mapped = np.memmap(source, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
        for rows in _row_blocks(shape, dtype.itemsize):
            yield np.asarray(mapped[rows], dtype=dtype.newbyteorder("="))

    return VectorFile(shape, blocks, {})


def _open_safetensors(source: Path, tensor: str | None) -> VectorFile:
    header, start = _read_safetensors_header(source)
    try:
        with safe_open(source, framework="np") as tensors:
            name = _named(list(tensors.keys()), tensor)
            part = tensors.get_slice(name)
            kind = part.get_dtype()
            dtype = np.dtype(_SAFETENSORS.get(kind, "object"))
            shape = _check_array(tuple(part.get_shape()), dtype)
    except SafetensorError as error:
        raise InvalidInput("the file is neither a .npy nor a valid .safetensors file", field="file") from error

    def blocks() -> Iterator[Array]:
        with safe_open(source, framework="np") as tensors:
            part = tensors.get_slice(name)
            for rows in _row_blocks(shape, dtype.itemsize):
                yield part[rows]

    def widened() -> Iterator[Array]:
        """A bfloat16 is the upper half of the float32 of the same value; numpy has no such type."""
        offset = start + header[name]["data_offsets"][0]
        halves = np.memmap(source, dtype="<u2", mode="r", offset=offset, shape=shape)
        for rows in _row_blocks(shape, dtype.itemsize):
            yield (halves[rows].astype(np.uint32) << 16).view(np.float32)

    named = {"tensor": name}
    if kind == "BF16":
        return VectorFile(shape, widened, named | {"stored_from": "bfloat16"})
    return VectorFile(shape, blocks, named)


def _named(names: list[str], wanted: str | None) -> str:
    shown = ", ".join(ascii(name)[:100] for name in sorted(names)[:_SHOWN_NAMES])
    listed = f"{shown}, …" if len(names) > _SHOWN_NAMES else shown
    if wanted is not None:
        if wanted not in names:
            raise InvalidInput(f"the file has no tensor of that name; it has {listed or 'none'}", field="tensor")
        return wanted
    if not names:
        raise InvalidInput("the .safetensors file holds no tensor", field="file")
    if len(names) > 1:
        raise InvalidInput(f"the .safetensors file holds {len(names)} tensors; name one of {listed}", field="tensor")
    return names[0]


def _read_safetensors_header(source: Path) -> tuple[Any, int]:
    """The header, and where the data begin."""
    size = source.stat().st_size
    with source.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(size - 8, _MAX_HEADER_BYTES):
            raise InvalidInput("the file is neither a .npy nor a .safetensors file", field="file")
        try:
            return json.loads(stream.read(length)), 8 + length
        except (ValueError, RecursionError) as error:
            raise InvalidInput("the .safetensors header is not JSON", field="file") from error
