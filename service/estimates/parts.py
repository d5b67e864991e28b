"""The parts of one search by several workers; its plan and its estimate count the same parts."""

from __future__ import annotations

_SHORTEST_SHARE = 0.1  # of the longest part
_SHORTEST_S = 1.0  # a shorter part costs more overhead than it saves


def part_stops(tiles: int, seconds: float, longest_s: float, workers: int) -> list[int]:
    """The tiles after which the parts of a search end.

    For one worker, parts take `longest_s`. Several workers should finish together, however unequal they are: each part
    is half of a worker's share of the remaining tiles, within limits (guided self-scheduling, Polychronopoulos and Kuck
    1987).

    Args:
        tiles: number of tiles of the search, at least one.
        seconds: time of all tiles on one worker.
        longest_s: longest time of a part, unless a tile takes longer.
        workers: number of workers.
    """
    tile_s, stops = max(seconds, 1e-9) / tiles, [0]
    shortest_s = min(_SHORTEST_SHARE * longest_s, max(_SHORTEST_S, seconds / workers))
    while stops[-1] < tiles:
        left = tiles - stops[-1]
        fair_s = left * tile_s / (2 * workers) if workers > 1 else longest_s
        part_s = min(longest_s, max(shortest_s, fair_s))
        stops.append(stops[-1] + min(left, max(1, int(part_s / tile_s))))
    return stops[1:]
