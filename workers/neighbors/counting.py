"""How many rows lie within a radius of each row: closed balls, ‖x − y‖ ≤ r, in float64, exactly.

Tiles where few pairs can lie within the largest radius are filtered in low precision and the rest is measured; the
others are computed in float64, and the pairs whose rounding bound straddles a radius are measured by direct
subtraction. No list of results is kept, so there is no limit to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from workers.neighbors.filtering import Search, TileBounds, make_tile, pairs_below
from workers.neighbors.float64_tile import Float64Tile
from workers.neighbors.layout import BLOCK
from workers.neighbors.pairs import Pairs
from workers.neighbors.preparing import Means, prepare_search
from workers.neighbors.settling import measure
from workers.neighbors.stored import StoredRows
from workers.neighbors.strips import Part, slot_pairs, strips_of
from workers.neighbors.ticking import Tick

Array = np.ndarray
_LARGEST = 1e300  # scaled distances are at most 2; a radius must not become the infinity of a pair that does not count
_DENSE_SHARE = 1 / 64  # of a tile's pairs; beyond it a float64 product is cheaper than measuring them one by one


def count_within(
    stored: StoredRows,
    order: Array,
    radii: Sequence[float],
    *,
    codes: Array | None = None,
    means: Means | None = None,
    part: Part | None = None,
    tick: Tick = lambda share: None,
) -> Array:
    """(n, radii) int64: how many other admissible rows of `order` lie within each radius of each of them.

    The cost does not grow with the number of radii. Pairs of equal `codes` do not count; None: only a row itself. With
    a `part` only its pairs are counted: the counts of all parts, searched with the same tile, add up to the whole.

    Raises:
        InvalidInput: a radius is negative or not finite.
    """
    wanted = np.asarray(radii, dtype=np.float64)
    ascending = np.unique(wanted)
    counts = _count(stored, order, ascending, None, codes, means, part or Part(), tick)
    return counts[:, np.searchsorted(ascending, wanted)]


def count_within_own(
    stored: StoredRows,
    order: Array,
    radii: Array,
    *,
    codes: Array | None = None,
    means: Means | None = None,
    tick: Tick = lambda share: None,
) -> Array:
    """(n,) int64: how many other admissible rows lie within `radii[i]` of row `order[i]`, a radius for every row."""
    return _count(stored, order, None, np.asarray(radii, dtype=np.float64), codes, means, Part(), tick)[:, 0]


def _count(
    stored: StoredRows,
    order: Array,
    shared: Array | None,
    own: Array | None,
    codes: Array | None,
    means: Means | None,
    part: Part,
    tick: Tick,
) -> Array:
    given = shared if shared is not None else own
    assert given is not None
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise InvalidInput("a radius is a finite number, 0 or more", field="radii")
    ids = torch.from_numpy(np.ascontiguousarray(order, dtype=np.int64))
    if not len(ids):
        return np.zeros((0, len(given) if shared is not None else 1), dtype=np.int64)
    search, _ = prepare_search(stored, ids, [len(ids)], k=1, codes=codes, means=means or Means())
    scale, full = search.database.rows.scale, search.database.layout.ids >= 0
    if shared is not None:
        limits = torch.from_numpy(np.minimum(shared, _LARGEST / scale) * scale)
        counter = _Counter(search, limits, None, torch.zeros(len(full), len(limits) + 1, dtype=torch.int64))
    else:
        limits = torch.zeros(len(full), dtype=torch.float64)
        limits[full] = torch.from_numpy(np.minimum(given * scale, _LARGEST))
        counter = _Counter(search, None, limits, torch.zeros(len(full), 2, dtype=torch.int64))
    strips = strips_of(search, part)
    total, done = slot_pairs(strips), 0
    for panel, of_panel in strips:
        for start in range(of_panel.start, of_panel.stop, search.tile):
            columns = slice(start, min(start + search.tile, of_panel.stop))
            counter.count_tile(panel, columns)
            done += slot_pairs([(panel, columns)])
            tick(done / total)
    return counter.found[full, :-1].cumsum(dim=1).numpy()


@dataclass
class _Counter:
    """Running counts.

    Attributes:
        shared: (radii,) ascending, scaled; or
        own: (slots,) one radius for each row, scaled.
        found: (slots, radii + 1) pairs by the first radius that holds them; the last column: by none.
    """

    search: Search
    shared: Tensor | None
    own: Tensor | None
    found: Tensor

    def count_tile(self, panel: slice, columns: slice) -> None:
        """Count all pairs of a tile, for the columns too unless it lies on the diagonal."""
        both = columns.start >= panel.stop
        pairs = self._few_pairs(panel, columns)
        if pairs is None:
            self._count_dense(panel, columns, both)
        else:
            self._count_pairs(pairs, both)

    def _few_pairs(self, panel: slice, columns: slice) -> Pairs | None:
        """The pairs that may lie within the largest radius; None where they are many."""
        search = self.search
        left = search.database.encoding.left(search.queries.right(panel))
        tile = make_tile(search, left, panel, columns)
        values = tile.along_rows()
        pairs = len(left) * (columns.stop - columns.start)
        bounds = TileBounds(search, panel, columns)
        limits = self._limits(panel, columns).to(values.device)
        whole = slice(0, values.shape[1])
        if BLOCK * int((values <= bounds.largest_values(limits, whole)).sum()) > 8 * _DENSE_SHARE * pairs:
            return None
        near = list(pairs_below(bounds, values, tile.cells_of_rows, limits, whole))
        rows, found = (torch.cat([part[at] for part in near] or [torch.empty(0, dtype=torch.int64)]) for at in (0, 1))
        if len(rows) > _DENSE_SHARE * pairs:
            return None
        none = torch.empty(len(rows))
        rows, found = rows.cpu() + panel.start, found.cpu() + columns.start
        return Pairs(rows, found, torch.zeros_like(rows), none, none)

    def _limits(self, panel: slice, columns: slice) -> Tensor:
        """(rows,) float32, no smaller than any radius that a pair of the row is held against."""
        if self.shared is not None:
            limits = self.shared[-1:].expand(panel.stop - panel.start)
        else:
            assert self.own is not None
            limits = self.own[panel].clamp(min=float(self.own[columns].max()))
        return torch.nextafter(limits.float(), torch.tensor(torch.inf))

    def _count_pairs(self, pairs: Pairs, both: bool) -> None:
        distances = measure(self.search, pairs).uppers
        self._add(pairs.rows, self._bucket(pairs.rows, distances))
        if both:
            self._add(pairs.columns, self._bucket(pairs.columns, distances))

    def _count_dense(self, panel: slice, columns: slice, both: bool) -> None:
        side = self.search.database
        rows = torch.arange(panel.start, panel.stop)
        rows = rows[side.layout.ids[rows] >= 0]
        centre = side.rows.centre.double()
        own = side.rows.take_float64(side.layout.ids[rows], centre)
        tile = Float64Tile(self.search, rows, own, centre, torch.arange(columns.start, columns.stop))
        lowers, uppers = tile.bounds()
        self._count_sides(tile, lowers, uppers, 0)
        if both:
            self._count_sides(tile, lowers, uppers, 1)

    def _count_sides(self, tile: Float64Tile, lowers: Tensor, uppers: Tensor, side: int) -> None:
        """Add the pairs of a tile to its rows (side 0) or to its columns (side 1)."""
        slots = (tile.rows[:, None], tile.columns)[side].expand_as(lowers)
        low, high = self._bucket(slots, lowers), self._bucket(slots, uppers)
        at, column = torch.nonzero(low != high, as_tuple=True)
        if len(at):
            pairs = Pairs(
                tile.rows[at], tile.columns[column], torch.zeros_like(at), lowers[at, column], lowers[at, column]
            )
            high[at, column] = self._bucket(slots[at, column], measure(self.search, pairs).uppers)
        self._add(slots, high)

    def _bucket(self, slots: Tensor, distances: Tensor) -> Tensor:
        """The first radius that is not smaller than the distance."""
        if self.shared is not None:
            if len(self.shared) == 1:
                return (distances > self.shared).long()
            return torch.searchsorted(self.shared, distances)
        assert self.own is not None
        return (distances > self.own[slots]).long()

    def _add(self, slots: Tensor, buckets: Tensor) -> None:
        width = self.found.shape[1]
        place = (slots * width + buckets).flatten()
        self.found += torch.bincount(place, minlength=self.found.numel()).view_as(self.found)
