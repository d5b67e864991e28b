"""Importing a user's vectors, `.npy` or `.safetensors`, as an activation set, one block of rows at a time.

Nothing in the file is executed or unpickled, and every size that it declares is compared with the file first.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from service.artifacts.activation_set import finish_set, save_tensors, shard_name
from service.artifacts.atomic import sha256_file
from service.artifacts.statistics import RunningStatistics
from service.errors import InvalidInput

Array = np.ndarray
Blocks = Callable[[], Iterator[Array]]
_SHARD_BYTES = 16 * 2**20
_MAX_HEADER_BYTES = 2**20  # one tensor needs a hundred
_DTYPES = ("float16", "float32", "float64")


def import_vectors(source: Path, folder: Path, about: dict[str, Any]) -> None:
    """Write the vectors of `source` as a finished set in `folder`; the dtype is kept.

    Raises:
        InvalidInput: not such a file, not one 2-D float array, or sizes that do not fit the file.
        NonFiniteData: naming the first row with a NaN or an infinity.
    """
    shape, blocks = _open_npy(source) if _is_npy(source) else _open_safetensors(source)
    check = RunningStatistics(shape[1])
    for index, block in enumerate(blocks()):
        check.add(block)  # refuse before anything is written
        save_tensors(folder / shard_name(index), {"vectors": block})
    finish_set(folder, about | {"source": {"sha256": sha256_file(source), "bytes": source.stat().st_size}})


def _is_npy(source: Path) -> bool:
    with source.open("rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def _check_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.name not in _DTYPES:
        raise InvalidInput("vectors must be float16, float32 or float64", field="file")
    if len(shape) != 2 or any(type(length) is not int or length < 1 for length in shape):
        raise InvalidInput("the array must have two dimensions, (rows, d_model), and at least one row", field="file")
    return shape[0], shape[1]


def _row_blocks(shape: tuple[int, int], itemsize: int) -> Iterator[slice]:
    step = max(1, _SHARD_BYTES // (shape[1] * itemsize))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _open_npy(source: Path) -> tuple[tuple[int, int], Blocks]:
    with source.open("rb") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            declared, _, dtype = read_header(stream, max_header_size=10_000)
        except Exception as error:  # the header is a Python literal: numpy raises what its parser happens to raise
            raise InvalidInput("the .npy header is corrupt", field="file") from error
        start = stream.tell()
    shape = _check_array(declared, dtype)
    if start + shape[0] * shape[1] * dtype.itemsize != source.stat().st_size:
        raise InvalidInput("the .npy header declares another size than the file has", field="file")

    def blocks() -> Iterator[Array]:
        mapped = np.load(source, mmap_mode="r", allow_pickle=False)
        for rows in _row_blocks(shape, dtype.itemsize):
            yield np.asarray(mapped[rows], dtype=dtype.newbyteorder("="))

    return shape, blocks


def _open_safetensors(source: Path) -> tuple[tuple[int, int], Blocks]:
    _check_safetensors_header(source)
    try:
        with safe_open(source, framework="np") as tensors:
            names = list(tensors.keys())
            if len(names) != 1:
                raise InvalidInput("the .safetensors file must hold exactly one tensor", field="file")
            part = tensors.get_slice(names[0])
            dtype = {"F16": "float16", "F32": "float32", "F64": "float64"}.get(part.get_dtype(), "object")
            shape = _check_array(tuple(part.get_shape()), np.dtype(dtype))
    except SafetensorError as error:
        raise InvalidInput("the file is neither a .npy nor a valid .safetensors file", field="file") from error

    def blocks() -> Iterator[Array]:
        with safe_open(source, framework="np") as tensors:
            part = tensors.get_slice(names[0])
            for rows in _row_blocks(shape, np.dtype(dtype).itemsize):
                yield part[rows]

    return shape, blocks


def _check_safetensors_header(source: Path) -> None:
    size = source.stat().st_size
    with source.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(size - 8, _MAX_HEADER_BYTES):
            raise InvalidInput("the file is neither a .npy nor a .safetensors file", field="file")
        try:
            json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise InvalidInput("the .safetensors header is not JSON", field="file") from error
