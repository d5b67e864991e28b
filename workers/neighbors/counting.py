"""The number of rows within a radius of each row: closed balls, ‖x − y‖ ≤ r, counted exactly in float64.

A tile where few pairs can lie within the largest radius is filtered in low precision, and its candidates are rescored.
Any other tile is computed in float64, and only the pairs whose bounds lie on both sides of a radius are rescored by
direct subtraction. Pairs are counted and not listed, so memory does not grow with the number of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from workers.neighbors.appending import Strip, append, reach_of
from workers.neighbors.filtering import pairs_below
from workers.neighbors.float64_tile import Float64Tile
from workers.neighbors.layout import BLOCK
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs, join, no_pairs
from workers.neighbors.pool import Pool
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.rescoring import measure
from workers.neighbors.search import Search, left_columns
from workers.neighbors.strips import Part, run_tiles, slot_pairs, strips_of
from workers.neighbors.ticking import Tick
from workers.neighbors.tile import Tiles
from workers.neighbors.tile_bounds import TileBounds, pair_bounds

Array = np.ndarray
_LARGEST = 1e300  # far above any scaled distance (at most 2), and below inf, the value of an excluded pair
_DENSE_TILE, _MOST_PAIRS = 4096, 2**25  # of one step on a GPU
_DENSE_SHARE = 1 / 16  # above this share of a tile's pairs a float64 product is cheaper than the bounds of single pairs


def count_within(
    question: Question,
    radii: Sequence[float] | Array,
    options: SearchOptions = SearchOptions(),
    part: Part = Part(),
    tick: Tick = lambda share: None,
) -> Array:
    """(n, radii) int64: how many other rows of the largest prefix lie within each radius of each of its n rows.

    The cost grows little with the number of radii. Pairs of equal code do not count. With a `part` only its pairs are
    counted: the counts of all parts, searched with the same tile, add up to those of the whole.

    Args:
        question: `k` and the smaller prefixes are not used; `queries` must be None.

    Raises:
        InvalidInput: a radius is negative or not finite.
    """
    assert question.queries is None
    wanted = np.asarray(radii, dtype=np.float64)
    if not (np.isfinite(wanted).all() and (wanted >= 0).all()):
        raise InvalidInput("a radius is a finite number, 0 or more", field="radii")
    n, ascending = len(question.order), np.unique(wanted)
    if not n:
        return np.zeros((0, len(wanted)), dtype=np.int64)
    search, _ = prepare_search(replace(question, sizes=[n], k=1), options)
    counter = _Counter(search, torch.from_numpy(ascending).to(options.device))
    if search.strips:
        counter.count_strips(part, tick)
    else:
        run_tiles(search, part, counter.count_tile, tick)
    ids, order, found = search.database.layout.ids.cpu(), question.order, counter.found.cpu()
    of_id = torch.empty((int(order.max()) + 1, len(ascending)), dtype=torch.int64)
    of_id[ids[ids >= 0]] = found[ids >= 0, :-1].cumsum(dim=1)
    return of_id[order].numpy()[:, np.searchsorted(ascending, wanted)]


class _Counter:
    """Running counts.

    Attributes:
        radii: (radii,) float64 ascending.
        scaled: the same in the scale of the bounds. One that underflows there is below every upper bound, which has a
            slack, and not above a lower bound that it is not above without rounding.
        below: (radii + 1,) −1 and then `scaled`: what a distance in each bucket exceeds.
        found: (slots, radii + 1) int64: pairs of each slot by the smallest radius that holds them; the last column
            counts the pairs that none holds.
    """

    def __init__(self, search: Search, radii: Tensor) -> None:
        self.search, self.radii, self.tiles = search, radii, Tiles(search)
        scale = search.database.rows.scale
        self.scaled = radii.clamp(max=_LARGEST / scale) * scale
        self.below = torch.cat([torch.full_like(radii[:1], -1.0), self.scaled])
        self.lock = Lock()  # several threads count tiles
        self.found = torch.zeros(search.database.layout.slots, len(radii) + 1, dtype=torch.int64, device=radii.device)
        # Rounded up to float32: no smaller than any radius.
        self.limit = torch.nextafter(self.scaled[-1].float(), torch.full_like(self.scaled[-1].float(), torch.inf))

    def count_strips(self, part: Part, tick: Tick) -> None:
        """Count all pairs of a part on a GPU, strip by strip; a tile with many pairs is computed in float64."""
        strips, done = strips_of(self.search, part), 0
        total, step = slot_pairs(strips), min(self.search.tile, _DENSE_TILE)
        for panel, columns in strips:
            pairs = self._pairs_of(panel, columns)
            if pairs is not None:
                buckets = self._bucket_pairs(pairs)
                whole = slice(0, len(self.found))
                self._add(whole, torch.cat([pairs.rows, pairs.columns]), torch.cat([buckets, buckets]))
            else:
                for start in range(columns.start, columns.stop, step):
                    self._count_square(panel, slice(start, min(start + step, columns.stop)), step)
            done += slot_pairs([(panel, columns)])
            tick(done / total)

    def _pairs_of(self, panel: slice, columns: slice) -> Pairs | None:
        """Each pair of a strip that may lie within the largest radius once; None where there are many."""
        search = self.search
        wanted = self.limit.expand(search.database.layout.slots, 1)
        reach = reach_of(wanted, search.database.errors)
        left, right = left_columns(search, panel), search.database.right(columns)
        strip = Strip(search, panel, columns, left, right, reach, torch.full_like(reach, -1.0))
        most = min(int(_DENSE_SHARE * slot_pairs([(panel, columns)])), _MOST_PAIRS)
        pool = Pool.of(most, reach.device)
        append(strip, pool)
        count = int(pool.count[0])
        if count > most:
            return None
        rows, found = pool.rows[:count].long(), pool.columns[:count].long()
        return self._bounded(rows, found, pool.values[:count])

    def _count_square(self, panel: slice, columns: slice, step: int) -> None:
        """Count the pairs of a tile in float64; of one on the diagonal those at and above it, from both sides."""
        for start in range(panel.start, panel.stop, step):
            rows = slice(start, min(start + step, panel.stop))
            if columns.start >= rows.stop:
                self._count_dense(rows, columns, both=True)
            elif columns.start == rows.start:
                self._count_dense(rows, columns, both=False)

    def count_tile(self, panel: slice, columns: slice) -> None:
        """Count all pairs of a tile for its rows, and also for its columns unless it lies on the diagonal."""
        both = columns.start >= panel.stop
        pairs = self._few_pairs(panel, columns)
        if pairs is None:
            self._count_dense(panel, columns, both)
        else:
            self._count_pairs(pairs, panel, columns, both)

    def _few_pairs(self, panel: slice, columns: slice) -> Pairs | None:
        """The pairs of a tile that may lie within the largest radius; None where there are many."""
        search = self.search
        tile = self.tiles.tile(panel, columns)
        values = tile.along_rows()
        pairs = len(values) * (columns.stop - columns.start)
        every_row = torch.arange(len(values), device=values.device)
        bounds = TileBounds(search, every_row + panel.start, columns)
        limits = self.limit.expand(len(values))
        whole = slice(0, values.shape[1])
        if BLOCK * int((values <= bounds.largest_values(limits, whole)).sum()) > 8 * _DENSE_SHARE * pairs:
            return None
        near, count = [no_pairs(values.device)], 0
        for rows, found, products in pairs_below(bounds, every_row, values, tile.cells_of_rows, limits, whole):
            count += len(rows)
            if count > _DENSE_SHARE * pairs:
                return None
            near.append(self._bounded(rows + panel.start, found + columns.start, products))
        return join(near)

    def _count_pairs(self, pairs: Pairs, panel: slice, columns: slice, both: bool) -> None:
        buckets = self._bucket_pairs(pairs)
        self._add(panel, pairs.rows, buckets)
        if both:
            self._add(columns, pairs.columns, buckets)

    def _count_dense(self, panel: slice, columns: slice, both: bool) -> None:
        side = self.search.database
        rows = torch.arange(panel.start, panel.stop, device=side.layout.ids.device)
        rows = rows[side.layout.ids[rows] >= 0]
        centre = side.rows.centre.double()
        own = side.rows.take_float64(side.layout.ids[rows], centre)
        slots = torch.arange(columns.start, columns.stop, device=rows.device)
        tile = Float64Tile(self.search, rows, own, centre, slots)
        buckets = self._buckets(tile)
        self._add(panel, tile.rows[:, None].expand_as(buckets), buckets)
        if both:
            self._add(columns, tile.columns.expand_as(buckets), buckets)

    def _buckets(self, tile: Float64Tile) -> Tensor:
        """(m, n) the bucket of each pair of a tile."""
        lowers, uppers = tile.bounds()
        buckets = _bucket(uppers, self.scaled)
        at, column = torch.nonzero(lowers <= self.below[buckets], as_tuple=True)
        lower = lowers[at, column]
        pairs = Pairs(tile.rows[at], tile.columns[column], torch.zeros_like(at), lower, lower)
        buckets[at, column] = self._measured_buckets(pairs)
        return buckets

    def _bucket_pairs(self, pairs: Pairs) -> Tensor:
        """(pairs,) the bucket of each; those whose bounds lie on both sides of a radius are measured."""
        buckets = _bucket(pairs.uppers.double(), self.scaled)
        at = torch.nonzero(pairs.lowers <= self.below[buckets])[:, 0]
        buckets[at] = self._measured_buckets(pairs.take(at))
        return buckets

    def _bounded(self, rows: Tensor, columns: Tensor, products: Tensor) -> Pairs:
        """Pairs of slots with the bounds on their distances."""
        return Pairs(rows, columns, torch.zeros_like(rows), *pair_bounds(self.search, rows, columns, products))

    def _measured_buckets(self, pairs: Pairs) -> Tensor:
        return _bucket(measure(self.search, pairs).uppers, self.radii)

    def _add(self, of_tile: slice, slots: Tensor, buckets: Tensor) -> None:
        """Count pairs by their bucket; their `slots` are all in `of_tile`."""
        found = self.found[of_tile]
        place = ((slots - of_tile.start) * found.shape[1] + buckets).flatten()
        if place.device.type != "cpu":  # where `bincount` waits
            found.view(-1).index_add_(0, place, torch.ones_like(place))
            return
        counts = torch.bincount(place, minlength=found.numel()).view_as(found)
        with self.lock:
            found += counts


def _bucket(distances: Tensor, radii: Tensor) -> Tensor:
    """Index of the smallest of the ascending radii that is not smaller than the distance."""
    if len(radii) == 1:
        return (distances > radii).long()
    return torch.searchsorted(radii, distances)
