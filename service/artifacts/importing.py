"""Importing a user's vectors, `.npy` or `.safetensors`, as an activation set, one block of rows at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.artifacts.activation_set import finish_set, save_tensors, shard_name
from service.artifacts.atomic import sha256_file
from service.artifacts.row_names import NAMES, read_names
from service.artifacts.statistics import RunningStatistics
from service.artifacts.vector_files import open_vectors
from service.errors import TooLarge


def import_vectors(
    source: Path,
    folder: Path,
    about: dict[str, Any],
    *,
    tensor: str | None = None,
    ids: Path | None = None,
    labels: Path | None = None,
    most_d_model: int = 2**16,
) -> None:
    """Write the vectors of `source` as a finished set in `folder`; the dtype is kept, bfloat16 widened to float32.

    Args:
        tensor: name of the tensor in a `.safetensors` file of several.
        ids, labels: text files with a line for each row.
        most_d_model: longest row; of longer ones a single row is many megabytes, and statistics several times that.

    Raises:
        TooLarge: rows are longer than `most_d_model`.
        InvalidInput: not such a file, not one 2-D float array, sizes that do not fit the file, or lines that do not fit
            the rows.
        NonFiniteData: naming the first row with a NaN or an infinity, or whose norm overflows a double.
    """
    opened = open_vectors(source, tensor)
    if opened.shape[1] > most_d_model:
        raise TooLarge(f"d_model is at most {most_d_model} (max_d_model)", field="file")
    names = read_names(ids, labels, opened.shape[0])
    check = RunningStatistics(opened.shape[1])
    for index, block in enumerate(opened.blocks()):
        check.add(block)  # refuse before anything is written
        save_tensors(folder / shard_name(index), {"vectors": block})
    if names:
        save_tensors(folder / NAMES, names)
    described = {"sha256": sha256_file(source), "bytes": source.stat().st_size}
    widened = {name: opened.about[name] for name in ("stored_from",) if name in opened.about}
    named = {name: opened.about[name] for name in ("tensor",) if name in opened.about}
    finish_set(folder, about | widened | {"source": described | named})
