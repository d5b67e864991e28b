"""A forward in few digits is warned of where it moved the vectors by a part of their distances, with both numbers."""

from __future__ import annotations

from typing import Any

import pytest

from service.contracts.base import Notice
from workers.flows.precision import MeasuredForward, measured_forward, precision_notices


def manifest(dtype: str = "bfloat16", **parity: Any) -> dict[str, Any]:
    return {
        "name": "a set",
        "extraction": {"dtype": dtype},
        "statistics": {"norm_mean": 3000.0},
        "parity": {"chunks": 4, "max_relative_deviation": 0.0035} | parity,
    }


def test_what_a_manifest_says():
    assert measured_forward(manifest(max_deviation=10.7)) == MeasuredForward("a set", "bfloat16", 10.7, 4)
    assert measured_forward(manifest()) == MeasuredForward("a set", "bfloat16", 10.5, 4)  # relative, times the norm
    without_dtype = manifest(max_deviation=1.0) | {"extraction": {}}  # as earlier versions wrote it
    assert measured_forward(without_dtype) == MeasuredForward("a set", "float32", 1.0, 4)
    assert measured_forward({"name": "imported", "statistics": {"norm_mean": 1.0}}) is None


def told(deviation: float, distance: float) -> list[Notice]:
    return precision_notices([MeasuredForward("a set", "bfloat16", deviation, 4)], distance)


def test_the_warning_has_both_numbers():
    (notice,) = told(10.7, 25.6)
    assert notice.code == "forward_precision"
    assert notice.message == (
        "a set: the bfloat16 forward moved rows of the first 4 chunks by up to 10.7 from a float32 forward, and the "
        "median nearest distance is 25.6: a distance may be off by 21.4; extract with dtype float32"
    )


@pytest.mark.parametrize(("deviation", "warned"), [(1.27, False), (1.29, True), (0.0, False)])
def test_it_comes_from_a_twentieth_of_the_distance_on(deviation: float, warned: bool):
    assert bool(told(deviation, 25.6)) == warned


def test_nothing_is_told_without_a_forward_or_a_distance():
    assert precision_notices([None], 25.6) == []
    assert told(1.0, 0.0) == []
