"""The arithmetic of a search by many workers, also against what was measured here."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.estimates.scale_out import Workers, search_at_scale
from tests.benchmarks.neighbors import RESULTS

GIB = 2**30


def workers(count: int = 8, segment_s: float = 20.0) -> Workers:
    return Workers(count, 2e14, 2e9, 80 * GIB, segment_s)


def test_all_pairs_of_a_million_rows():
    found = search_at_scale(10**6, 1024, workers())
    assert found.parts == 3  # 2.56 s in all, and a second is the least
    assert found.filtering_s == pytest.approx(1.0, rel=0.01)
    assert found.bytes_read == 3 * 10**6 * 1024 * 4
    assert found.memory_bytes == 10**6 * (2 * 1024 + 256)


@settings(deadline=None)
@given(n=st.integers(10**5, 10**8), count=st.sampled_from([1, 8, 64]), segment_s=st.floats(1, 10_000))
def test_more_workers_filter_in_proportion_and_longer_parts_read_less(n: int, count: int, segment_s: float):
    one, many = (search_at_scale(n, 1024, workers(number, segment_s)) for number in (1, count))
    assert one.filtering_s / count <= many.filtering_s * (1 + 1e-9) <= max(one.filtering_s / count, segment_s) * 1.01
    longer = search_at_scale(n, 1024, workers(count, 10 * segment_s))
    assert longer.bytes_read <= many.bytes_read
    assert longer.merging_s <= many.merging_s


def test_memory_is_what_breaks_first_at_a_hundred_million_rows():
    assert search_at_scale(10**7, 1024, workers()).memory_bytes < 80 * GIB
    assert search_at_scale(10**8, 1024, workers()).first_limit.startswith("memory")


def test_it_agrees_with_the_search_that_was_measured():
    """Two workers against one, from the speed of the engine alone; the null model and the last part come on top."""
    kept = json.loads((RESULTS / "scale_out.json").read_text())
    n, d = kept["shape"]
    speed = n**2 / 2 * d / statistics.median(kept["seconds"]["engine alone"])
    measured = {name: statistics.median(values) for name, values in kept["seconds"].items()}
    for count, name in ((1, "1 × 1"), (2, "2 × 1")):
        expected = search_at_scale(n, d, Workers(count, speed, 1e9, 12 * GIB, 20.0)).total_s
        assert 0.6 * measured[name] < expected < measured[name]
