"""The tiles of a search in parts: what one worker of several does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workers.neighbors.filtering import Search


@dataclass(frozen=True)
class Part:
    """From `start` to `stop` of `of` equal pieces of a search; by default the whole."""

    start: int = 0
    stop: int = 1
    of: int = 1

    def cut(self, total: int) -> tuple[int, int]:
        """The range of `total` things that it covers; adjacent parts cover adjacent ranges."""
        return total * self.start // self.of, total * self.stop // self.of


def strips_of(search: Search, part: Part) -> list[tuple[slice, slice]]:
    """Panels and columns of a part, for `search_panel`: its stretch of all tiles, row by row."""
    counts = [last - first for _, first, last in _rows_of_tiles(search)]
    low, high = part.cut(sum(counts))
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
