"""Work × speeds → time, over any number of workers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.estimates import Calibration, Rate
from service.estimates.pricing import Work, price

SPEEDS = Calibration(
    tokenising=1e6,
    forward=[Rate(d_model=128, per_s=1e10), Rate(d_model=1024, per_s=8e10)],
    training=[Rate(d_model=64, per_s=1e10), Rate(d_model=256, per_s=2e10)],
    encoding=1e9,
    searching=1e11,
    counting=1e10,
    drawing=1e10,
    points=1e5,
    energies=1e10,
    generating=1e4,
    storing=1e9,
    reports=10.0,
    measured_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def seconds(work: Work, workers: int = 1, overhead_s: float = 0.0) -> float:
    found = price(work, SPEEDS, workers, overhead_s).seconds
    assert found is not None
    return found


def test_amounts_add_up():
    assert seconds(Work("x", {"searching": 2e11, "storing": 3e9, "reports": 1.0})) == pytest.approx(5.1)


@pytest.mark.parametrize(("width", "rate"), [(128, 1e10), (256, 2e10), (512, 4e10), (1024, 8e10), (4096, 8e10)])
def test_a_speed_grows_with_the_width_as_measured(width: int, rate: float):
    assert seconds(Work("x", {"forward": 1e12}, width=width)) == pytest.approx(1e12 / rate)


def test_segments_are_as_long_as_the_setting_says():
    long = Work("search", {"searching": 1e13}, segment_s=20.0, spread=True)  # 100 s
    assert price(long, SPEEDS, 1, 0.0).segments == 5
    assert seconds(long, workers=5) == pytest.approx(20.0)
    assert seconds(long, workers=2) == pytest.approx(60.0)  # 3 rounds of 20 s
    assert price(long, None, 1, 0.0).segments is None


def test_segments_of_one_run_come_one_after_another_and_runs_side_by_side():
    run = Work("train", {"training": 1e12}, width=64, segment_s=45.0)  # 100 s: 3 segments
    assert seconds(run, workers=8) == pytest.approx(100.0)
    grid = Work("train", {"training": 1e12}, width=64, segment_s=45.0, repeats=6)
    assert price(grid, SPEEDS, 2, 0.0).segments == 18
    assert seconds(grid, workers=2) == pytest.approx(300.0)
    assert seconds(grid, workers=100) == pytest.approx(100.0)


def test_every_segment_waits_to_be_found():
    work = Work("extract", {"forward": 1e10}, width=128, segments=10, spread=True)
    assert seconds(work, workers=1, overhead_s=0.2) == pytest.approx(1 + 10 * 0.2)
    assert seconds(work, workers=5, overhead_s=0.2) == pytest.approx((1 + 10 * 0.2) / 5)


@given(
    amount=st.floats(0, 1e15),
    segments=st.integers(1, 50),
    repeats=st.integers(1, 20),
    spread=st.booleans(),
    workers=st.integers(0, 64),
)
def test_more_workers_never_take_longer_nor_less_than_their_share(
    amount: float, segments: int, repeats: int, spread: bool, workers: int
):
    work = Work("x", {"counting": amount}, segments=segments, repeats=repeats, spread=spread)
    alone, shared, more = seconds(work), seconds(work, workers), seconds(work, workers + 1)
    assert more <= shared * (1 + 1e-12) <= alone * (1 + 1e-9)
    assert shared * max(1, workers) >= alone * (1 - 1e-9)
