"""Rows read where they lie on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.artifacts.activation_set import ActivationSet, finish_set, save_tensors, shard_name
from service.artifacts.atomic import sha256_file
from service.artifacts.manifest import MANIFEST
from service.errors import CorruptArtifact


def make_set(folder: Path, dtype: type) -> tuple[ActivationSet, np.ndarray]:
    rows = np.random.default_rng(0).normal(size=(11, 5)).astype(dtype)
    for index, part in enumerate((rows[:4], rows[4:5], rows[5:])):
        save_tensors(folder / shard_name(index), {"vectors": part})
    finish_set(folder, {"id": "act-1", "name": "a set"})
    return ActivationSet(folder, sha256_file(folder / MANIFEST)), rows


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_mapped_rows_are_the_stored_rows(tmp_path: Path, dtype: type):
    stored, rows = make_set(tmp_path / "set", dtype)
    parts = stored.mapped_vectors()
    assert [len(part) for part in parts] == [4, 1, 6]
    joined = np.concatenate(parts)
    assert joined.dtype == rows.dtype
    assert (joined == rows).all()
    assert (joined == stored.vectors()).all()


def test_mapped_rows_are_on_disk_and_cannot_be_written(tmp_path: Path):
    stored, _ = make_set(tmp_path / "set", np.float32)
    part = stored.mapped_vectors()[0]
    assert isinstance(part, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        part[0, 0] = 1


def test_a_damaged_shard_is_refused_before_a_row_is_read(tmp_path: Path):
    stored, _ = make_set(tmp_path / "set", np.float32)
    path = tmp_path / "set" / shard_name(1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptArtifact):
        stored.mapped_vectors()


def test_vectors_without_text_have_no_documents(tmp_path: Path):
    stored, _ = make_set(tmp_path / "set", np.float32)
    assert stored.document_ids() is None
