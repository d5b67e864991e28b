"""The cache on disk of the flat FAISS indices of activation sets: `{set_sha256}.faiss` and `.json` in one folder.

An index is derived data: a missing or damaged file is built again, and a write that fails is logged and not repeated.
The control worker deletes the files used least recently (`index_cache_bytes`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from service.artifacts.atomic import atomic_path, sha256_file, write_bytes
from service.errors import StorageFull
from workers.neighbors.faiss_index import FlatIndex, build_flat, read_flat, write_flat
from workers.neighbors.stored import StoredRows

logger = logging.getLogger(__name__)


def cached_flat(folder: Path, set_sha256: str, rows: StoredRows) -> FlatIndex:
    """The flat index of the set with that manifest hash, read from `folder`, or built and stored there.

    A file is used only when its SHA-256 is the one recorded when it was written: FAISS reads a damaged file without
    an error.
    """
    path, note = folder / f"{set_sha256}.faiss", folder / f"{set_sha256}.json"
    found = _read(path, note)
    if found is not None:
        return found
    built = build_flat(rows)
    try:
        _store(path, note, built)
    except (OSError, StorageFull) as error:
        logger.warning("the index was not cached: %s", error)
    return built


def _read(path: Path, note: Path) -> FlatIndex | None:
    """The stored index; None where there is none, or it is damaged. Its modification time records the use."""
    about = _read_note(note)
    try:
        if about is None or sha256_file(path) != about["sha256"]:
            return None
        rows = read_flat(path)
    except OSError:  # another process may have just deleted it
        return None
    with suppress(OSError):  # a folder that can only be read is still a cache
        os.utime(path)
    return FlatIndex(rows, np.frombuffer(bytes.fromhex(about["norms"])), about["scale"])


def _store(path: Path, note: Path, index: FlatIndex) -> None:
    with atomic_path(path) as temporary:
        write_flat(temporary, index.rows)
    about = {"sha256": sha256_file(path), "scale": index.scale, "norms": index.norms.tobytes().hex()}
    body = json.dumps(about)
    write_bytes(note, json.dumps({"body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}).encode())


def _read_note(note: Path) -> dict[str, Any] | None:
    """The contents of the `.json` file; None where it is missing or its checksum is wrong."""
    try:
        outer = json.loads(note.read_bytes())
        sound = hashlib.sha256(outer["body"].encode()).hexdigest() == outer["sha256"]
        return json.loads(outer["body"]) if sound else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
