"""How a search is shared out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.estimates.parts import part_stops


@given(st.integers(1, 5_000), st.floats(0, 3_000), st.integers(1, 64))
def test_parts_are_within_limits_and_workers_end_together(tiles: int, seconds: float, workers: int):
    stops, tile_s = part_stops(tiles, seconds, 20.0, workers), seconds / tiles
    lengths_s = [(stop - start) * tile_s for start, stop in pairwise([0, *stops])]
    assert all(start < stop for start, stop in pairwise([0, *stops]))
    assert stops[-1] == tiles
    assert max(lengths_s) <= max(20.0, tile_s) * (1 + 1e-9)
    if workers == 1:
        assert len(stops) <= seconds / max(20.0 - tile_s, tile_s, 1e-9) + 1
        return
    ends = [0.0] * workers
    for length_s in lengths_s:  # whoever is free takes the next one
        ends[ends.index(min(ends))] += length_s
    assert max(ends) <= seconds / workers + max(2.0, tile_s) + 1e-6


def test_short_searches_are_shared_out_too():
    assert len(part_stops(10_000, 256.0, 600.0, 8)) == 8  # each a worker's share
    assert len(part_stops(10_000, 0.9, 600.0, 8)) == 1
    assert part_stops(1, 0.0, 20.0, 2) == [1]
