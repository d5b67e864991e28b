"""A cached FAISS index is used only while its checksum is right; otherwise it is built again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.neighbors.datasets import gaussian
from workers.activations import index_cache
from workers.activations.index_cache import cached_flat
from workers.neighbors.faiss_index import read_flat
from workers.neighbors.stored import StoredRows


def test_a_cached_index_is_read_back_equal(tmp_path: Path):
    rows = gaussian()
    built = cached_flat(tmp_path, "abc", StoredRows(rows))
    files = sorted(path.name for path in tmp_path.iterdir())
    again = cached_flat(tmp_path, "abc", StoredRows(rows))
    assert (built.rows == again.rows).all()
    assert (built.norms == again.norms).all()
    assert files == ["abc.faiss", "abc.json"]


@pytest.mark.parametrize("name", ["abc.faiss", "abc.json"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, name: str):
    rows = gaussian()
    built = cached_flat(tmp_path, "abc", StoredRows(rows))
    damaged = bytearray((tmp_path / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / name).write_bytes(damaged)
    assert (cached_flat(tmp_path, "abc", StoredRows(rows)).rows == built.rows).all()
    assert (tmp_path / name).read_bytes() != bytes(damaged)


def test_an_index_that_is_used_is_touched_and_one_that_vanishes_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = StoredRows(gaussian())
    built = cached_flat(tmp_path, "abc", rows)
    os.utime(tmp_path / "abc.faiss", (1.0, 1.0))
    cached_flat(tmp_path, "abc", rows)
    assert (tmp_path / "abc.faiss").stat().st_mtime > 1.0

    def remove_then_read(path: Path) -> object:
        path.unlink()  # as the cleanup of another process does
        return read_flat(path)

    with monkeypatch.context() as patch:
        patch.setattr(index_cache, "read_flat", remove_then_read)
        assert (cached_flat(tmp_path, "abc", rows).rows == built.rows).all()
    assert (tmp_path / "abc.faiss").exists()


def test_another_set_has_another_cache(tmp_path: Path):
    rows = gaussian()
    cached_flat(tmp_path, "abc", StoredRows(rows))
    other = cached_flat(tmp_path, "def", StoredRows(2 * rows + 1))
    assert len(list(tmp_path.glob("*.faiss"))) == 2
    assert other.scale != 1.0
