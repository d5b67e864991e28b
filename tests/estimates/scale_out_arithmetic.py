"""One exact search by many equal workers, by arithmetic: its time, the bytes read, and the first limit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from service.estimates.parts import part_stops

_TILE = 4096  # rows
_STORED_BYTES = 4  # per number of the rows
_ENCODED_BYTES = 2
_ROW_BYTES = 256  # that a search keeps per row beside its encoding, see `work`
_STATE_BYTES = 32  # per row in the state of a part: bounds for four fractions, and about one candidate
_ANSWER_BYTES = 96  # per row: its id, a distance and a neighbour in each of four fractions


@dataclass(frozen=True)
class Workers:
    """Equal workers.

    Attributes:
        count: number of workers.
        products_per_s: pairs × dimensions that one worker filters.
        read_bytes_per_s: bytes that each worker reads while all of them read.
        memory_bytes: memory of one worker.
        segment_s: longest time of a part.
    """

    count: int
    products_per_s: float
    read_bytes_per_s: float
    memory_bytes: int
    segment_s: float


@dataclass(frozen=True)
class SearchAtScale:
    """Cost of a search of n rows.

    Attributes:
        parts: number of parts of the search.
        filtering_s: n²/2 · d products, by all workers, or the longest part.
        bytes_read: every worker reads all rows once and keeps them encoded; where they do not fit, for every part.
        reading_s: time of that, by all workers.
        memory_bytes: memory of a worker that keeps the encoded rows.
        merging_s: time in which the workers read the states of all parts, each those of its ranges of the rows.
        joining_s: time in which one worker reads the answers of all ranges.
        first_limit: the limit that is exceeded, or what takes longest.
    """

    parts: int
    filtering_s: float
    bytes_read: float
    reading_s: float
    memory_bytes: int
    merging_s: float
    joining_s: float
    first_limit: str

    @property
    def total_s(self) -> float:
        """The parts read and filter, then all workers merge, then one joins."""
        return self.filtering_s + self.reading_s + self.merging_s + self.joining_s


def search_at_scale(n: int, d: int, workers: Workers) -> SearchAtScale:
    """Cost of a search of n rows of d dimensions among themselves, all pairs."""
    alone_s = n**2 / 2 * d / workers.products_per_s
    tiles = ceil(ceil(n / _TILE) ** 2 / 2)
    stops = part_stops(tiles, alone_s, workers.segment_s, workers.count)
    parts, longest_s = len(stops), max(b - a for a, b in pairwise([0, *stops])) * alone_s / tiles
    memory = n * (_ENCODED_BYTES * d + _ROW_BYTES)
    fits = memory <= workers.memory_bytes
    bytes_read = float(min(parts, workers.count) if fits else parts) * n * d * _STORED_BYTES
    times = {
        "filtering": max(alone_s / workers.count, longest_s),
        "reading the rows": bytes_read / workers.read_bytes_per_s / workers.count,
        "merging": float(parts) * n * _STATE_BYTES / workers.read_bytes_per_s / workers.count,
        "joining, by one worker": n * _ANSWER_BYTES / workers.read_bytes_per_s,
    }
    longest = max(times, key=lambda name: times[name])
    filtering, reading, merging, joining = times.values()
    return SearchAtScale(
        parts=parts,
        filtering_s=filtering,
        bytes_read=bytes_read,
        reading_s=reading,
        memory_bytes=memory,
        merging_s=merging,
        joining_s=joining,
        first_limit=longest if fits else "memory: encoded rows do not fit and are encoded for every panel",
    )
