"""Rows of any scale whose distances a double holds: squares that under- or overflow change no digit of an answer."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

from service.errors import InvalidInput, NonFiniteData
from tests.neighbors.engines import EXACT, Engine, assert_equals_reference, search
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.null_model import gaussian_null, principal_deviations
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.stored import StoredRows

Array = np.ndarray
POWERS = [-995, -565, -542, -538, 532, 995]  # 1e-300, 1e-170, 1e-163, 1e-162, 1e160, 1e300
engines = pytest.mark.parametrize("engine", EXACT, ids=lambda engine: engine.__name__)


def normal(n: int = 90, d: int = 4) -> Array:
    """Random rows, of which 7 and 19 are equal."""
    rows = np.random.default_rng(0).standard_normal((n, d))
    rows[19] = rows[7]
    return rows


def spanning(low: float, high: float) -> Array:
    """Rows of three sizes in one set."""
    rows = normal()
    return np.concatenate([rows[:30] * low, rows[30:60], rows[60:] * high])


def true_distances(rows: Array) -> list[Any]:
    """Distance of each row to its nearest other one, from whole numbers."""
    exact = [[Fraction(float(value)) for value in row] for row in rows]
    least = [min(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for y in exact if y is not x) for x in exact]
    with mp.workdps(40):
        return [mpmath.sqrt(mpmath.mpf(gap.numerator) / gap.denominator) for gap in least]


@pytest.mark.parametrize(
    "rows",
    [*(normal(24) * 2.0**power for power in POWERS), spanning(1e-200, 1e140)[::4], spanning(1e-100, 1e100)[::4]],
)
def test_the_reference_is_right_at_every_scale(rows: Array):
    distances, _ = nearest_reference(rows)
    for found, true in zip(distances[:, 0], true_distances(rows), strict=True):
        assert abs(mpmath.mpf(float(found)) - true) <= 4e-16 * true


def test_the_reference_refuses_distances_beyond_a_double():
    with pytest.raises(InvalidInput, match="the distance of row 0 to row 2 overflows"):
        nearest_reference(np.array([[1.7e308], [1.6e308], [-1.7e308]]))


@engines
@pytest.mark.parametrize("power", [-995, -538, 995])
def test_a_power_of_two_changes_no_digit(engine: Engine, power: int):
    for plain, scaled in zip(
        search(normal(), engine=engine, k=2), search(normal() * 2.0**power, engine=engine, k=2), strict=True
    ):
        assert (np.ldexp(plain.distances, power) == scaled.distances).all()
        assert (plain.ids == scaled.ids).all()
        assert scaled.certified == 1.0
        assert int((scaled.distances[:, 0] == 0).sum()) == int((plain.distances[:, 0] == 0).sum())


@engines
@pytest.mark.parametrize(("low", "high"), [(1e-200, 1e140), (1e-20, 1e290)])
def test_rows_of_very_different_size_in_one_set(engine: Engine, low: float, high: float):
    rows = spanning(low, high)
    answers = search(rows, engine=engine, k=3)
    for found in answers:
        assert_equals_reference(found, rows, 3, None)
    whole = answers[-1]
    assert np.flatnonzero(whole.distances[:, 0] == 0).tolist() == np.flatnonzero(np.isin(whole.rows, [7, 19])).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_ends_of_narrow_formats(dtype: str):
    limits = np.finfo(dtype)
    for scale in (float(limits.smallest_subnormal) * 8, float(limits.max) / 16):
        rows = (normal() * scale).astype(dtype)
        for found in search(rows, k=2):
            assert_equals_reference(found, rows, 2, None)


@pytest.mark.parametrize("rows", [normal(40) * 2.0**-565, normal(40) * 2.0**532, spanning(1e-200, 1e140)[::2]])
def test_pairs_within_radii_are_counted_at_every_scale(rows: Array):
    exact = [[Fraction(float(value)) for value in row] for row in rows]
    gaps = [[sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for y in exact] for x in exact]
    distances, _ = nearest_reference(rows, 5)
    radii = [0.0, *np.unique(distances[np.isfinite(distances)])[[1, 20, 30, -1]].tolist(), 1e-250, 1e200]
    found = count_within(Question.of_all_rows(StoredRows(rows)), radii)
    for at, radius in enumerate(radii):
        # A distance that is a radius but for its own rounding may fall on either side.
        low, high = Fraction(radius * (1 - 1e-15)) ** 2, Fraction(radius * (1 + 1e-15)) ** 2
        least, most = ([sum(gap <= limit for gap in row) - 1 for row in gaps] for limit in (low, high))
        assert (np.asarray(least) <= found[:, at]).all()
        assert (found[:, at] <= np.asarray(most)).all()


@pytest.mark.parametrize("power", [-995, -538, 532])
def test_the_null_model_scales_with_the_rows(power: int):
    plain, scaled = (
        gaussian_null(principal_deviations(StoredRows(rows), rows.mean(axis=0)), [20, 60], queries=30, seed=0)
        for rows in (normal(60), normal(60) * 2.0**power)
    )
    assert plain.rank == scaled.rank == 4
    for a, b in zip(plain.distances, scaled.distances, strict=True):
        np.testing.assert_allclose(np.ldexp(a, power), b, rtol=1e-12)


@engines
def test_what_no_double_measures_is_refused_by_its_row(engine: Engine):
    rows = normal()
    rows[40], rows[41] = 1e-310, 3e-310
    with pytest.raises(InvalidInput, match=r"rows 4[01] and 4[01] are 4e-310 apart"):
        search(rows, engine=engine)
    with pytest.raises(InvalidInput, match=r"than row \d+, which is \d.*e-3\d\d from it: distances underflow a double"):
        search(normal() * 1e-310, engine=engine)
    rows[13] = 1e305
    with pytest.raises(NonFiniteData, match=r"^row 13 is 2e\+305 from the centre of the rows: distances overflow"):
        search(rows, engine=engine)
    rows[13, 2] = np.inf
    with pytest.raises(NonFiniteData, match=r"^row 13 is not finite"):
        search(rows, engine=engine)


@pytest.mark.parametrize("stray", [np.nan, np.inf, 1e305])
def test_a_query_row_that_is_not_measured_is_named(stray: float):
    queries = normal(20)
    queries[5, 1] = stray
    question = Question(StoredRows(normal()), np.arange(90), [90], queries=StoredRows(queries))
    with pytest.raises(NonFiniteData, match=r"^query row 5 is"):
        exact_neighbors(question, SearchOptions())
