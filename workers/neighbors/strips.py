"""The tiles of a search: cut into parts, one for each worker, and run in the threads of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from workers.neighbors.search import Search
from workers.neighbors.threads import in_threads, threads_on
from workers.neighbors.ticking import Tick

_CPU_TILE = 4096


@dataclass(frozen=True)
class Part:
    """The pieces `start` to `stop` of a search cut into `of` equal pieces; by default the whole search."""

    start: int = 0
    stop: int = 1
    of: int = 1

    def cut(self, total: int) -> tuple[int, int]:
        """The range of `total` items that the part covers; adjacent parts cover adjacent ranges."""
        return total * self.start // self.of, total * self.stop // self.of


def strips_of(search: Search, part: Part) -> list[tuple[slice, slice]]:
    """Panels and columns of a part, for `search_panel`: a range of all tiles in row order."""
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


def tiles_of(search: Search, part: Part) -> list[tuple[slice, slice]]:
    """The tiles of a part, in row order; those that a GPU's plan made too large for the caches of a CPU are cut."""
    step = _CPU_TILE if search.tile > _CPU_TILE and search.tile % _CPU_TILE == 0 else search.tile
    return [
        (slice(row, min(row + step, panel.stop)), slice(start, min(start + step, columns.stop)))
        for panel, columns in strips_of(search, part)
        for row in range(panel.start, panel.stop, step)
        for start in range(max(columns.start, row) if search.symmetric else columns.start, columns.stop, step)
    ]


def run_tiles(search: Search, part: Part, run: Callable[[slice, slice], None], tick: Tick) -> None:
    """Call `run` with the panel and the columns of every tile of a part, in several threads on a CPU.

    Tiles on the diagonal come first. Their rows are of like length, and so of the same kind where there are several:
    limits from them exclude most pairs of all other tiles.

    Args:
        tick: called in the calling thread with the share of slot pairs done; an exception that it raises ends the work.
    """
    tiles, done = sorted(tiles_of(search, part), key=lambda tile: tile[0].start != tile[1].start), 0
    total = slot_pairs(tiles)

    def run_one(tile: tuple[slice, slice]) -> int:
        run(*tile)
        return slot_pairs([tile])

    with closing(in_threads(tiles, run_one, threads_on(search.database.encoding.device))) as ended:
        for pairs in ended:
            done += pairs
            tick(done / total)


def tiles(search: Search) -> int:
    """Number of tiles of a search: the largest useful number of parts."""
    return sum(last - first for _, first, last in _rows_of_tiles(search))


def slot_pairs(strips: Sequence[tuple[slice, slice]]) -> int:
    """Number of slot pairs in some strips or tiles; their time is proportional to it."""
    return sum((panel.stop - panel.start) * (columns.stop - columns.start) for panel, columns in strips)


def _rows_of_tiles(search: Search) -> Iterator[tuple[slice, int, int]]:
    """Each panel with the numbers of its first tile and of the one after its last."""
    last = -(-search.database.layout.slots // search.tile)
    for panel in search.panels():
        yield panel, panel.start // search.tile if search.symmetric else 0, last
