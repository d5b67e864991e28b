"""FAISS's flat, IVF and HNSW indices over centred rows. The only file that imports faiss.

FAISS flat alone is not exact: on larger batches it expands ‖x‖² + ‖y‖² − 2x·y in float32, which loses all digits of a
small distance between large vectors. Rows are therefore centred in float64 and scaled by a power of two (neither
changes which row is nearest) before they are rounded to float32, and what FAISS finds are candidates only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import torch

from workers.devices.device import CPU
from workers.devices.memory import free_memory, memory_errors_typed
from workers.neighbors.stored import StoredRows, check_longest, robust_centre, row_norms, scale_below

Array = np.ndarray
Kind = Literal["faiss-flat", "faiss-ivf", "faiss-hnsw"]
_HNSW_LINKS, _HNSW_EFFORT = 32, 128
_ROWS_PER_LIST = 39  # with fewer FAISS warns that a list cannot be learnt
_BLOCK_ROWS = 8192


@dataclass(frozen=True)
class FlatIndex:
    """The rows of a flat index: (stored row − centre) · scale, rounded to float32.

    Attributes:
        rows: (n, d) float32.
        norms: (n,) float64 norms of the exact centred, scaled rows.
        scale: a power of two, so that scaling is exact.
    """

    rows: Array
    norms: Array
    scale: float


def build_flat(rows: StoredRows) -> FlatIndex:
    """Centre the rows about the robust centre, scale the longest to (½, 1] and round to float32.

    Raises:
        NonFiniteData, InvalidInput: naming a row that no double measures, as `centre_rows`.
    """
    ids = torch.arange(len(rows))
    centre = robust_centre(rows, ids)
    blocks = [block for block in ids.split(_BLOCK_ROWS) if len(block)]
    norms = torch.cat([row_norms(rows.take(block).double() - centre) for block in blocks]).numpy()
    longest = float(norms.max())
    check_longest(longest, [(rows, ids)], centre)
    scale = scale_below(longest)
    centred = np.empty((len(rows), rows.d), dtype=np.float32)
    for block in blocks:
        centred[block.numpy()] = ((rows.take(block).double() - centre) * scale).numpy()
    return FlatIndex(centred, norms * scale, scale)


def make_index(kind: Kind, rows: Array, device: torch.device = CPU) -> Any:
    """A FAISS index of (n, d) float32 `rows` on the device, if FAISS is built for it (HNSW runs on the CPU only).

    IVF has about 4 √n lists (the rule of the FAISS guidelines) and visits 1/16 of them; HNSW 32 links.
    """
    n, d = rows.shape
    if kind == "faiss-hnsw":
        index = faiss.IndexHNSWFlat(d, _HNSW_LINKS)
        index.hnsw.efConstruction, index.hnsw.efSearch = _HNSW_EFFORT, _HNSW_EFFORT
    elif kind == "faiss-ivf" and n >= _ROWS_PER_LIST:
        lists = max(1, min(round(4 * n**0.5), n // _ROWS_PER_LIST))
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, lists)
        index.nprobe = max(1, math.ceil(lists / 16))
    else:
        index = faiss.IndexFlatL2(d)
    if kind != "faiss-hnsw" and device.type == "cuda" and hasattr(faiss, "StandardGpuResources"):
        free_memory()  # FAISS cannot use what torch has cached
        index = faiss.index_cpu_to_gpu(_gpu_resources(), device.index or 0, index)
    with memory_errors_typed():
        if not index.is_trained:
            index.train(rows)
        index.add(rows)
    return index


@cache
def _gpu_resources() -> Any:
    """FAISS's scratch memory, 1.5 GiB, which all indices of the process share."""
    return faiss.StandardGpuResources()


def search_index(index: Any, queries: Array, k: int) -> tuple[Array, Array]:
    """FAISS's k nearest rows of (m, d) float32 `queries`.

    Returns:
        Squared filter distances in float64, and ids; inf and −1 where an approximate index found fewer than k.
    """
    with memory_errors_typed():
        distances_sq, ids = index.search(queries, min(k, index.ntotal))
    return np.where(ids < 0, np.inf, distances_sq.astype(np.float64)), ids


def write_flat(path: Path, rows: Array) -> None:
    """Write (n, d) float32 rows as a FAISS flat index.

    Raises:
        OSError: the file cannot be written.
    """
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    with _faiss_errors():
        faiss.write_index(index, os.fspath(path))


def read_flat(path: Path) -> Array:
    """(n, d) float32 rows that `write_flat` wrote; FAISS does not detect damage, so verify a checksum first.

    Raises:
        OSError: the file cannot be read.
    """
    with _faiss_errors():
        owner = faiss.read_index(os.fspath(path))  # holds the memory of the rows
        flat: Any = faiss.downcast_index(owner)
    return faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d).copy()


def faiss_version() -> str:
    """Version of the FAISS library, for a `provenance` block."""
    return str(faiss.__version__)


@contextmanager
def _faiss_errors() -> Iterator[None]:
    """FAISS raises RuntimeError for a file that it cannot open or write; raise OSError instead."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(str(error)) from error
