"""Energies of rows of any scale whose squared distances a double holds, against arithmetic of 50 digits."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from service.errors import InvalidInput, NonFiniteData
from tests.theory import exact_energy
from workers.energy.evaluation import evaluate
from workers.energy.patterns import prepare_patterns
from workers.neighbors.stored import StoredRows

Array = np.ndarray


def normal(n: int, scale: float = 1.0, dtype: str = "float64", seed: int = 0) -> Array:
    return (np.random.default_rng(seed).standard_normal((n, 3)) * scale).astype(dtype)


def check(rows: Array, queries: Array, beta: float = 1.0) -> None:
    """g, E within its bound, E_MCHN, and the nearest pattern."""
    found = evaluate(prepare_patterns(StoredRows(rows)), StoredRows(queries), [beta])
    wide, points = rows.astype(np.float64), queries.astype(np.float64)
    for at, point in enumerate(points):
        g, e, mchn = (
            exact_energy.g(wide, point),
            exact_energy.energy(wide, point, beta),
            exact_energy.energy_mchn(wide, point, beta),
        )
        assert abs(mpmath.mpf(float(found.g[at])) - g) <= 1e-14 * g
        slack = found.error[0, at] + 1e-14 * float(abs(g)) + 1e-14 * math.log(len(rows)) / beta
        assert abs(mpmath.mpf(float(found.energy[0, at])) - e) <= slack
        assert found.energy_mchn[0, at] == pytest.approx(float(mchn), rel=1e-5, abs=1e-5 / beta)
        assert found.error[0, at] <= math.log(len(rows)) / beta


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e-30, "float32"), (1e-43, "float32"), (1e-12, "float32"), (1e20, "float32"), (1e38, "float32"),
     (1e-149, "float64"), (1e-60, "float64"), (1e60, "float64"), (1e148, "float64")],
)  # fmt: skip
@pytest.mark.parametrize("beta", [1e-6, 1e6])
def test_energies_at_every_scale(scale: float, dtype: str, beta: float):
    rows = normal(40, scale, dtype)
    check(rows, np.concatenate([normal(3, scale, dtype, seed=1), rows[:2]]), beta)


def test_tiny_rows_have_the_energy_of_equal_rows():
    """−log d: all patterns carry the same weight, not only the few that are rescored."""
    for rows in (normal(60, 1e-30, "float32"), normal(60, 1e-150)):
        found = evaluate(prepare_patterns(StoredRows(rows)), StoredRows(rows), [1.0])
        np.testing.assert_allclose(found.energy, -math.log(60), atol=1e-4)


def test_copies_among_large_rows_share_the_weight():
    rows = normal(40, 1e20, "float32")
    rows[7] = rows[3]
    found = evaluate(prepare_patterns(StoredRows(rows)), StoredRows(rows[3:4]), [1.0])
    assert found.energy[0, 0] == pytest.approx(-math.log(2), abs=1e-5)


@pytest.mark.parametrize(
    ("far", "dtype", "many"),
    [
        (1e12, "float32", 40),
        (1e20, "float32", 40),
        (1e60, "float32", 700),
        (1e60, "float64", 40),
        (1e149, "float64", 40),
    ],
)
def test_queries_far_beyond_the_patterns(far: float, dtype: str, many: int):
    rows, queries = normal(many, 1.0, dtype), np.array([[0.1, 0.2, 0.3], [far, 0.0, -far / 3], [-far, far, far]])
    check(rows, queries)
    found = evaluate(prepare_patterns(StoredRows(rows)), StoredRows(queries), [1.0], k=5)
    near = evaluate(prepare_patterns(StoredRows(rows)), StoredRows(queries[:1]), [1.0], k=5)
    assert (found.ids[0] == near.ids[0]).all()  # another query does not change an answer
    # The products of one row and of three may round differently; a double's never by this much.
    assert found.energy[0, 0] == pytest.approx(near.energy[0, 0], rel=1e-6 if dtype == "float32" else 1e-12)


def test_rows_of_very_different_size_in_one_set():
    rows = np.concatenate([normal(20, 1e-100), normal(20, 1e-20), normal(20, 1e100)])
    check(rows, np.concatenate([rows[:2] * 1.5, rows[20:22] * 1.5, rows[40:42] * 1.5, [[1e60, 0, 0]]]))


def test_squares_that_no_double_holds_are_refused_by_the_row():
    with pytest.raises(InvalidInput, match=r"than row \d+, which is .*e-162 from it: squared distances underflow"):
        prepare_patterns(StoredRows(normal(40, 1e-162)))
    with pytest.raises(
        NonFiniteData, match=r"^row \d+ is .*e\+160 from the centre of the rows: squared distances over"
    ):
        prepare_patterns(StoredRows(normal(40, 1e160)))
    patterns = prepare_patterns(StoredRows(np.array([[0.0, 0, 0], [1e-200, 0, 0], [1.0, 0, 0]])))
    same = evaluate(patterns, StoredRows(np.array([[1e-200, 0, 0]])))
    assert (same.g[0], same.ids[0, 0]) == (0, 1)
    with pytest.raises(InvalidInput, match="query 1 is 2e-200 from row 1: the squared distance underflows"):
        evaluate(patterns, StoredRows(np.array([[1.0, 0, 0], [3e-200, 0, 0]])))
    with pytest.raises(NonFiniteData, match=r"query 1 is 1e\+200 from the centre of the patterns"):
        evaluate(patterns, StoredRows(np.array([[1.0, 0, 0], [1e200, 0, 0]])))
    with pytest.raises(NonFiniteData, match="query 0 is not finite"):
        evaluate(patterns, StoredRows(np.array([[np.nan, 0, 0]])))
    far = prepare_patterns(StoredRows(normal(5) * 1e149 + 1e162))
    with pytest.raises(InvalidInput, match="E_MCHN of query 0 overflows a double"):
        evaluate(far, StoredRows(np.full((1, 3), 1e162)))
