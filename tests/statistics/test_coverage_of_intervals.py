"""Planted truth: intervals by documents cover, those of independent rows and of fixed distances do not.

The handful that `make test` draws has wide limits; the long profile draws 60 and `tests.statistics.planted` 400.
"""

from __future__ import annotations

import pytest

from tests.statistics.planted import BOOTSTRAP, BY_NAME, INDEPENDENT, SPHERES, covered, held_out_covered

FEW, REPETITIONS = 20, 60
# Of 20 intervals that each cover with probability .95, 15 cover with a probability of .9997; of 60, 51 with .9999.
LEAST_OF_FEW, LEAST = 0.75, 0.85
ESTIMATES = ("mean", "median", "TwoNN", "maximum likelihood", "Gride", "Spearman")


@pytest.mark.parametrize(
    "design", ["tight", "uneven", "sphere 5, noise", "sphere 10, duplicates", "sphere 2, clusters"]
)
def test_intervals_by_documents_cover(design: str):
    found = covered(BY_NAME[design], FEW)
    assert {name: found[name].share for name in ESTIMATES if found[name].share < LEAST_OF_FEW} == {}
    error = found["mean"].error_over_deviation
    assert error is not None
    assert 0.6 < error < 2.5


@pytest.mark.parametrize("estimate", [INDEPENDENT, BOOTSTRAP])
def test_what_is_not_to_be_used_fails_the_same_bar(estimate: str):
    """Rows as independent where documents differ; fixed distances where few rows are the neighbours of many."""
    found = covered(BY_NAME[{INDEPENDENT: "tight", BOOTSTRAP: "few"}[estimate]], REPETITIONS)
    assert found[estimate].share < LEAST <= found["mean"].share
    error = found[estimate].error_over_deviation
    assert error is not None
    assert error < 0.75


def test_the_coverage_of_held_out_points_is_that_of_their_mixture():
    assert held_out_covered(REPETITIONS) >= LEAST


@pytest.mark.long
@pytest.mark.parametrize("design", list(BY_NAME))
def test_60_intervals_cover(design: str):
    found = covered(BY_NAME[design], REPETITIONS)
    assert {name: found[name].share for name in ESTIMATES if found[name].share < LEAST} == {}
    for name in ("mean", "TwoNN", "maximum likelihood", "Gride"):
        error = found[name].error_over_deviation
        assert error is not None
        assert 0.75 < error < 2.2


@pytest.mark.long
def test_rows_as_independent_miss_the_bar_at_every_sphere_in_documents():
    shares = [covered(design, REPETITIONS)[INDEPENDENT].share for design in SPHERES if not design.duplicates]
    assert max(shares) < LEAST + 0.05
    assert sum(share < LEAST for share in shares) >= len(shares) - 1
