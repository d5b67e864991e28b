"""Planted truth in few repetitions: intervals by documents cover, those of independent rows do not."""

from __future__ import annotations

import pytest

from tests.statistics.planted import DESIGNS, ESTIMATES, covered

BY_NAME = {design.name: design for design in DESIGNS}
REPETITIONS = 60
# Of 60 intervals that each cover with probability .95, 51 cover with a probability of .9999.
LEAST = 0.85


@pytest.mark.parametrize("design", ["scattered", "tight", "uneven", "single rows"])
@pytest.mark.parametrize("estimate", ["mean", "median", "Spearman"])
def test_intervals_by_documents_cover(design: str, estimate: str):
    found = covered(BY_NAME[design], ESTIMATES[estimate], REPETITIONS)
    assert found.share >= LEAST
    if found.error_over_deviation is not None:
        assert 0.85 < found.error_over_deviation < 1.9


@pytest.mark.parametrize("estimate", ["TwoNN", "maximum likelihood", "Gride"])
def test_intervals_of_the_dimension_cover(estimate: str):
    assert covered(BY_NAME["tight"], ESTIMATES[estimate], REPETITIONS).share >= LEAST


@pytest.mark.parametrize("design", ["tight", "uneven", "many"])
def test_rows_as_independent_miss_the_same_bar(design: str):
    found = covered(BY_NAME[design], ESTIMATES["mean, rows as independent"], REPETITIONS)
    assert found.share < LEAST
    assert found.error_over_deviation is not None
    assert found.error_over_deviation < 0.75
