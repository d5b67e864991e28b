"""Data that a null model describes wholly are not told from it."""

from __future__ import annotations

import pytest

from tests.statistics.planted_nulls import DESIGNS, ratios

BY_NAME = {design.name: design for design in DESIGNS}


@pytest.mark.parametrize("name", ["gaussian, unequal axes", "permutation, t₃", "elliptical, lognormal radii"])
def test_a_few_repetitions(name: str):
    values, inside = ratios(BY_NAME[name], 5)
    assert inside.sum() >= 4
    assert abs(values.mean() - 1) < 0.03


@pytest.mark.long
@pytest.mark.parametrize("name", list(BY_NAME))
def test_1_is_covered(name: str):
    values, inside = ratios(BY_NAME[name], 60)
    assert inside.mean() >= 0.9
    assert abs(values.mean() - 1) < 0.02
