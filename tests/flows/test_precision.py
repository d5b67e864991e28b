"""A forward in few digits is warned of where it moved the vectors by a part of their distances, with both numbers."""

from __future__ import annotations

from typing import Any

import pytest

from workers.flows.precision import precision_notices


def manifest(dtype: str = "bfloat16", **parity: Any) -> dict[str, Any]:
    return {
        "name": "a set",
        "extraction": {"dtype": dtype},
        "statistics": {"norm_mean": 3000.0},
        "parity": {"chunks": 4, "max_relative_deviation": 0.0035} | parity,
    }


def test_the_warning_has_both_numbers():
    (notice,) = precision_notices([manifest(max_deviation=10.7)], 25.6)
    assert notice.code == "forward_precision"
    assert notice.message == (
        "a set: the bfloat16 forward moved rows of the first 4 chunks by up to 10.7 from a float32 forward, and the "
        "median nearest distance is 25.6: a distance may be off by 21.4; extract with dtype float32"
    )


@pytest.mark.parametrize(("deviation", "warned"), [(1.27, False), (1.29, True), (0.0, False)])
def test_it_comes_from_a_twentieth_of_the_distance_on(deviation: float, warned: bool):
    assert bool(precision_notices([manifest(max_deviation=deviation)], 25.6)) == warned


def test_sets_without_the_deviation_itself_or_without_a_forward():
    (notice,) = precision_notices([manifest()], 25.6)
    assert "up to 10.5 from" in notice.message  # the relative one times the mean norm
    assert precision_notices([{"name": "imported", "statistics": {"norm_mean": 1.0}}], 25.6) == []
    assert precision_notices([manifest(max_deviation=1.0)], 0.0) == []
