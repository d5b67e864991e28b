"""The tiles of a search in parts of equal size: what one worker of several does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workers.neighbors.filtering import Search


@dataclass(frozen=True)
class Part:
    """Part `number` of `of`; by default the whole."""

    number: int = 0
    of: int = 1


def strips_of(search: Search, part: Part) -> list[tuple[slice, slice]]:
    """Panels and columns of a part, for `search_panel`: its stretch of all tiles, row by row.

    Parts differ by one tile at most, and every tile of the search is in exactly one of them.
    """
    counts = [last - first for _, first, last in _rows_of_tiles(search)]
    low, high = (sum(counts) * number // part.of for number in (part.number, part.number + 1))
    found, done = [], 0
    for (panel, first, last), count in zip(_rows_of_tiles(search), counts, strict=True):
        start, stop = max(first, first + low - done), min(last, first + high - done)
        if start < stop:
            end = min(stop * search.tile, search.database.layout.slots)
            found.append((panel, slice(start * search.tile, end)))
        done += count
    return found


def tiles(search: Search) -> int:
    """How many there are: the most parts that make sense."""
    return sum(last - first for _, first, last in _rows_of_tiles(search))


def slot_pairs(strips: list[tuple[slice, slice]]) -> int:
    """Pairs of slots in some strips: what their time is proportional to."""
    return sum((panel.stop - panel.start) * (columns.stop - columns.start) for panel, columns in strips)


def _rows_of_tiles(search: Search) -> Iterator[tuple[slice, int, int]]:
    """Each panel with the numbers of its first tile and of the one after its last."""
    last = -(-search.database.layout.slots // search.tile)
    for panel in search.panels():
        yield panel, panel.start // search.tile if search.symmetric else 0, last
