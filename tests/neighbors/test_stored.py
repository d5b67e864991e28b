"""Rows are scaled by a power of two so that no norm exceeds 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import HARD
from workers.neighbors.sampling import spread
from workers.neighbors.stored import StoredRows, centre_rows, lengths_of, robust_centre

Array = np.ndarray


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_no_norm_exceeds_one_and_the_box_that_holds_all_rows_is_not_far_smaller(make: Callable[[], Array]):
    rows = make()[:300]
    stored, ids = StoredRows(rows), torch.arange(len(rows))
    (centred,), _ = centre_rows([(stored, ids)])
    taken = (stored.take(ids).double() - centred.centre.double()) * centred.scale
    assert float(taken.norm(dim=1).max()) <= 1
    box = torch.maximum(taken.amax(dim=0), -taken.amin(dim=0)).norm()
    shift = 2.0**-22 * (centred.centre.double() * centred.scale).norm()  # rounding the centre to float32
    assert float(box + shift) > 0.5 or not taken.any()
    assert np.log2(centred.scale) == round(np.log2(centred.scale))


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_lengths_are_those_of_the_centred_rows(make: Callable[[], Array]):
    rows = StoredRows(make()[:600])
    ids = torch.arange(len(rows)).flip(0)
    (centred, queries), lengths = centre_rows([(rows, ids), (rows, ids[:7])])
    assert torch.equal(lengths, lengths_of(centred, ids))
    assert queries.scale == centred.scale


def test_rows_whose_differences_overflow_float32_are_centred_in_float64():
    rows = np.array([[3e38, 0], [-3e38, 0], [3e38, 1e38]], dtype=np.float32)
    (centred,), lengths = centre_rows([(StoredRows(rows), torch.arange(3))])
    assert centred.centre.dtype == torch.float64
    assert 0.5 < float(lengths.max()) <= 1


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("place", [0, 699])
def test_an_outlier_on_either_side_is_scaled_too(sign: float, place: int):
    rows = np.random.default_rng(0).uniform(-1, 1, (700, 1)).astype(np.float32)
    rows[place] = sign * 1000
    stored, ids = StoredRows(rows), torch.arange(700)
    (centred,), _ = centre_rows([(stored, ids)])
    assert 0.5 < float(centred.take(ids).abs().max()) <= 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_of_many_arrays_are_those_of_one(dtype: str):
    rows = np.arange(60, dtype=dtype).reshape(20, 3)
    parts = StoredRows([rows[:1], rows[1:8], rows[8:8], rows[8:19], rows[19:]])
    for ids in ([], [19], [0, 19, 7, 8, 8, 1, 0], list(range(20)), list(range(19, -1, -1))):
        chosen = torch.tensor(ids, dtype=torch.int64)
        assert torch.equal(parts.take(chosen), StoredRows(rows).take(chosen))
        assert parts.take(chosen).tolist() == rows[ids].reshape(-1, 3).tolist()


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("missing", [-1, 20])
def test_an_id_that_no_row_has_is_refused(parts: int, missing: int):
    rows = StoredRows(np.array_split(np.ones((20, 3), dtype=np.float32), parts) if parts > 1 else np.ones((20, 3)))
    with pytest.raises(IndexError):
        rows.take(torch.tensor([3, missing]))


def test_a_sample_has_no_period_and_covers_the_whole():
    for n, count in ((8000, 250), (80_000, 250), (4096, 2048), (1_000_000, 1000)):
        places = spread(torch.arange(n), count)
        assert 0.9 * count <= len(places) <= count
        assert torch.equal(places, places.unique())
        assert int((places[1:] - places[:-1]).max()) <= 3 * n / count
        for period in (16, 32, 64, 1024):
            shares = torch.bincount(places % period, minlength=period) / len(places)
            assert float(shares.max()) < max(3 / period, 0.03)
    few = torch.tensor([5, 1, 9])
    assert spread(few, 3) is few


def test_the_first_positions_of_chunks_are_not_taken_for_the_bulk():
    """One row in 32 is 300 times as long; of 8,000 rows every 32nd would be a sample of these alone."""
    rows = np.random.default_rng(0).standard_normal((8000, 8)).astype(np.float32)
    rows[::32] = 300 * np.abs(rows[::32])
    centre = robust_centre(StoredRows(rows), torch.arange(8000))
    assert float(centre.norm()) < 1
