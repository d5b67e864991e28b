"""FAISS: a flat index over the centred rows of an activation set, built once and cached. The only importer of faiss.

FAISS flat alone is not exact: on larger batches it expands ‖x‖² + ‖y‖² − 2x·y in float32, which loses all digits of a
small distance between large vectors. Rows are therefore centred in float64 and scaled by a power of two (neither
changes which row is nearest) before they are rounded to float32, and what FAISS finds are candidates only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from service.artifacts.atomic import atomic_path, sha256_file, write_bytes
from service.errors import NonFiniteData, StorageFull

Array = np.ndarray
_BLOCK_ROWS = 8192
_CENTRE_ROWS = 1000
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


def robust_centre(rows: Array) -> Array:
    """(d,) float64 median per dimension of up to 1,001 evenly spaced rows: a far outlier does not move it."""
    return np.median(rows[:: max(1, len(rows) // _CENTRE_ROWS)].astype(np.float64), axis=0)


def build_flat(rows: Array, centre: Array | None = None) -> FlatIndex:
    """Centre (any centre is valid; default `robust_centre`), scale the longest row to (½, 1], round to float32."""
    centre = robust_centre(rows) if centre is None else centre
    norms = np.concatenate(
        [
            np.linalg.norm(rows[start : start + _BLOCK_ROWS].astype(np.float64) - centre, axis=1)
            for start in range(0, len(rows), _BLOCK_ROWS)
        ]
    )
    longest = float(norms.max())
    if not np.isfinite(longest):
        raise NonFiniteData("the squared norms overflow a double; scale the vectors down")
    scale = float(2.0 ** -np.ceil(np.log2(longest))) if longest > 0 else 1.0
    centred = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        centred[part] = (rows[part].astype(np.float64) - centre) * scale
    return FlatIndex(centred, norms * scale, scale)


def search_flat(queries: Array, patterns: Array, k: int) -> tuple[Array, Array]:
    """FAISS's k nearest of (m, d) float32 `queries` among (n, d) `patterns`: squared filter distances and ids.

    k is at most n here, so FAISS never pads with −1 and FLT_MAX.
    """
    distances_sq, ids = faiss.knn(queries, patterns, min(k, len(patterns)))
    return distances_sq.astype(np.float64), ids


def cached_flat(folder: Path, set_sha256: str, rows: Array) -> FlatIndex:
    """The flat index of the set with that manifest hash, read from `folder`, or built and stored there.

    A cached file is used only when it was built from this very set and still has the SHA-256 it was written with:
    FAISS itself reads a damaged file without noticing.
    """
    path, note = folder / f"{set_sha256}.faiss", folder / f"{set_sha256}.json"
    about = _read_note(note)
    if about is not None and path.exists() and sha256_file(path) == about["sha256"]:
        stored = faiss.read_index(os.fspath(path))
        flat: Any = faiss.downcast_index(stored)
        vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d).copy()
        return FlatIndex(vectors, np.frombuffer(bytes.fromhex(about["norms"])), about["scale"])
    built = build_flat(rows)
    try:
        _store(path, note, built)
    except (OSError, RuntimeError, StorageFull) as error:  # FAISS raises RuntimeError for what the disk refuses
        logger.warning("the index was not cached: %s", error)
    return built


def faiss_version() -> str:
    """For a `provenance` block."""
    return str(faiss.__version__)


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
