"""The rounding bounds hold on every pair, and the index cache is used only while it is sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from service.errors import NonFiniteData
from tests.neighbors.datasets import HARD, gaussian
from workers.neighbors import faiss_index
from workers.neighbors.certificate import float32_bound, float64_bound
from workers.neighbors.faiss_index import build_flat, cached_flat, make_index, search_index
from workers.neighbors.stored import StoredRows

Array = np.ndarray


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_the_float32_bound_holds_for_every_pair(make: Callable[[], Array]):
    rows = make()[:300]
    index = build_flat(StoredRows(rows))
    filtered_sq, found = search_index(make_index("faiss-flat", index.rows), index.rows, len(rows))
    exact = rows.astype(np.longdouble)
    true = np.sqrt(((exact[:, None] - exact[found]) ** 2).sum(axis=2)) * index.scale
    norms_sum = index.norms[:, None] + index.norms[found]
    bound = float32_bound(rows.shape[1])
    assert (bound.lower(filtered_sq, norms_sum) <= true).all()
    assert (bound.upper(filtered_sq, norms_sum) >= true).all()


def test_the_float64_bound_is_sharper():
    squared, norms = np.asarray([1.0]), np.asarray([2.0])
    widths = [
        bound(64).upper(squared, norms) - bound(64).lower(squared, norms) for bound in (float32_bound, float64_bound)
    ]
    assert 0 < widths[1][0] < 1e-8 * widths[0][0]


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

    def remove_then_read(path: str) -> object:
        os.unlink(path)  # as the sweep of another process does
        return faiss.read_index(path)

    with monkeypatch.context() as patch:
        patch.setattr(faiss_index, "faiss", SimpleNamespace(**vars(faiss) | {"read_index": remove_then_read}))
        assert (cached_flat(tmp_path, "abc", rows).rows == built.rows).all()
    assert (tmp_path / "abc.faiss").exists()


def test_another_set_has_another_cache(tmp_path: Path):
    rows = gaussian()
    cached_flat(tmp_path, "abc", StoredRows(rows))
    other = cached_flat(tmp_path, "def", StoredRows(2 * rows + 1))
    assert len(list(tmp_path.glob("*.faiss"))) == 2
    assert other.scale != 1.0


def test_norms_beyond_a_double_are_refused():
    with pytest.raises(NonFiniteData), np.errstate(over="ignore"):
        build_flat(StoredRows(np.full((3, 2), 1e200) * [[1], [-1], [1]]), np.zeros(2))
