"""The arithmetic of a search by many workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.estimates.scale_out_arithmetic import Workers, search_at_scale

GIB = 2**30


def workers(count: int = 8, segment_s: float = 20.0) -> Workers:
    return Workers(count, 2e14, 2e9, 80 * GIB, segment_s)


def test_all_pairs_of_a_million_rows():
    found = search_at_scale(10**6, 1024, workers())
    assert found.parts == 3  # 2.56 s in all, and a second is the least
    assert found.filtering_s == pytest.approx(1.0, rel=0.01)
    assert found.bytes_read == 3 * 10**6 * 1024 * 4
    assert found.memory_bytes == 10**6 * (2 * 1024 + 256)


@given(n=st.integers(10**5, 10**8), count=st.sampled_from([1, 8, 64]), segment_s=st.floats(1, 10_000))
def test_more_workers_filter_in_proportion_and_longer_parts_read_less(n: int, count: int, segment_s: float):
    one, many = (search_at_scale(n, 1024, workers(number, segment_s)) for number in (1, count))
    assert one.filtering_s / count <= many.filtering_s * (1 + 1e-9) <= max(one.filtering_s / count, segment_s) * 1.01
    longer = search_at_scale(n, 1024, workers(count, 10 * segment_s))
    assert longer.bytes_read <= many.bytes_read
    assert longer.merging_s <= many.merging_s
    assert many.merging_s == pytest.approx(many.parts * n * 32 / 2e9 / count)
    assert many.joining_s == one.joining_s


def test_memory_is_what_breaks_first_at_a_hundred_million_rows():
    assert search_at_scale(10**7, 1024, workers()).memory_bytes < 80 * GIB
    assert search_at_scale(10**8, 1024, workers()).first_limit.startswith("memory")


@pytest.mark.parametrize(
    ("count", "parts", "filtering_s", "reading_s", "merging_s", "total_s"),
    [(1, 6, 111.72, 0.276, 0.0173, 112.02), (2, 15, 55.86, 0.276, 0.0216, 56.17)],
)
def test_a_search_of_90000_rows_by_hand(
    count: int, parts: int, filtering_s: float, reading_s: float, merging_s: float, total_s: float
):
    """90,000² / 2 × 768 products at 2.784e10 a second are 111.7 s; all rows are 276 MB, read by each worker."""
    found = search_at_scale(90_000, 768, Workers(count, 2.784e10, 1e9, 12 * GIB, 20.0))
    assert found.parts == parts
    assert found.bytes_read == count * 90_000 * 768 * 4
    assert (found.filtering_s, found.reading_s) == (
        pytest.approx(filtering_s, rel=1e-3),
        pytest.approx(reading_s, rel=2e-3),
    )
    assert found.merging_s == pytest.approx(merging_s, abs=5e-4)
    assert found.total_s == pytest.approx(total_s, rel=1e-3)
    assert found.first_limit == "filtering"
