"""FAISS: its flat, IVF and HNSW indices over centred rows, and the cache of flat ones. The only importer of faiss.

FAISS flat alone is not exact: on larger batches it expands ‖x‖² + ‖y‖² − 2x·y in float32, which loses all digits of a
small distance between large vectors. Rows are therefore centred in float64 and scaled by a power of two (neither
changes which row is nearest) before they are rounded to float32, and what FAISS finds are candidates only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import torch

from service.artifacts.atomic import atomic_path, sha256_file, write_bytes
from service.errors import NonFiniteData, StorageFull
from workers.neighbors.stored import StoredRows, robust_centre

Array = np.ndarray
Kind = Literal["faiss-flat", "faiss-ivf", "faiss-hnsw"]
_HNSW_LINKS, _HNSW_EFFORT = 32, 128
_ROWS_PER_LIST = 39  # with fewer FAISS warns that a list cannot be learnt
_BLOCK_ROWS = 8192
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FlatIndex:
    """Centred rows in float32 and how they came from the stored ones: (row − centre) · scale.

    Attributes:
        rows: (n, d) float32.
        norms: (n,) float64 norms of the exact centred, scaled rows.
        scale: a power of two, so that scaling is exact.
    """

    rows: Array
    norms: Array
    scale: float


def build_flat(rows: StoredRows, centre: Array | None = None) -> FlatIndex:
    """Centre (any centre is valid; default the robust one), scale the longest row to (½, 1], round to float32.

    Raises:
        NonFiniteData: a row is not finite, or the squared norms overflow a double.
    """
    ids = torch.arange(len(rows))
    middle = robust_centre(rows, ids) if centre is None else torch.from_numpy(centre)
    blocks = [block for block in ids.split(_BLOCK_ROWS) if len(block)]
    norms = torch.cat([(rows.take(block).double() - middle).norm(dim=1) for block in blocks]).numpy()
    longest = float(norms.max())
    if not np.isfinite(longest):
        raise NonFiniteData("a row is not finite, or the squared norms overflow a double; scale the vectors down")
    scale = float(2.0 ** -np.ceil(np.log2(longest))) if longest > 0 else 1.0
    centred = np.empty((len(rows), rows.d), dtype=np.float32)
    for block in blocks:
        centred[block.numpy()] = ((rows.take(block).double() - middle) * scale).numpy()
    return FlatIndex(centred, norms * scale, scale)


def make_index(kind: Kind, patterns: Array) -> Any:
    """A FAISS index of (n, d) float32 `patterns`: on all GPUs where FAISS has any (HNSW knows the CPU only).

    IVF has about 4 √n lists (the rule of the FAISS guidelines) and visits 1/16 of them; HNSW 32 links.
    """
    n, d = patterns.shape
    if kind == "faiss-hnsw":
        index = faiss.IndexHNSWFlat(d, _HNSW_LINKS)
        index.hnsw.efConstruction, index.hnsw.efSearch = _HNSW_EFFORT, _HNSW_EFFORT
    elif kind == "faiss-ivf" and n >= _ROWS_PER_LIST:
        lists = max(1, min(round(4 * n**0.5), n // _ROWS_PER_LIST))
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, lists)
        index.nprobe = max(1, math.ceil(lists / 16))
    else:
        index = faiss.IndexFlatL2(d)
    if kind != "faiss-hnsw" and hasattr(faiss, "index_cpu_to_all_gpus") and faiss.get_num_gpus() > 0:
        index = faiss.index_cpu_to_all_gpus(index)
    if not index.is_trained:
        index.train(patterns)
    index.add(patterns)
    return index


def search_index(index: Any, queries: Array, k: int) -> tuple[Array, Array]:
    """FAISS's k nearest of (m, d) float32 `queries`: squared filter distances in float64, and ids.

    −1 and inf where an approximate index found fewer.
    """
    distances_sq, ids = index.search(queries, min(k, index.ntotal))
    return np.where(ids < 0, np.inf, distances_sq.astype(np.float64)), ids


def cached_flat(folder: Path, set_sha256: str, rows: StoredRows) -> FlatIndex:
    """The flat index of the set with that manifest hash, read from `folder`, or built and stored there.

    A cached file is used only when it was built from this very set and still has the SHA-256 it was written with:
    FAISS itself reads a damaged file without noticing.
    """
    path, note = folder / f"{set_sha256}.faiss", folder / f"{set_sha256}.json"
    try:
        found = _read(path, note)
    except (OSError, RuntimeError):  # FAISS raises RuntimeError for what it cannot open: it was just removed
        found = None
    if found is not None:
        return found
    built = build_flat(rows)
    try:
        _store(path, note, built)
    except (OSError, RuntimeError, StorageFull) as error:  # FAISS raises RuntimeError for what the disk refuses
        logger.warning("the index was not cached: %s", error)
    return built


def faiss_version() -> str:
    """For a `provenance` block."""
    return str(faiss.__version__)


def _read(path: Path, note: Path) -> FlatIndex | None:
    """The stored index, and a touch that says it was used; None where there is none that is sound."""
    about = _read_note(note)
    if about is None or sha256_file(path) != about["sha256"]:
        return None
    stored = faiss.read_index(os.fspath(path))
    flat: Any = faiss.downcast_index(stored)
    vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d).copy()
    with suppress(OSError):  # a cache that can only be read is still a cache
        os.utime(path)
    return FlatIndex(vectors, np.frombuffer(bytes.fromhex(about["norms"])), about["scale"])


def _store(path: Path, note: Path, index: FlatIndex) -> None:
    stored = faiss.IndexFlatL2(index.rows.shape[1])
    stored.add(index.rows)
    with atomic_path(path) as temporary:
        faiss.write_index(stored, os.fspath(temporary))
    about = {"sha256": sha256_file(path), "scale": index.scale, "norms": index.norms.tobytes().hex()}
    body = json.dumps(about)
    write_bytes(note, json.dumps({"body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}).encode())


def _read_note(note: Path) -> dict[str, Any] | None:
    try:
        outer = json.loads(note.read_bytes())
        sound = hashlib.sha256(outer["body"].encode()).hexdigest() == outer["sha256"]
        return json.loads(outer["body"]) if sound else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
