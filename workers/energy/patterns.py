"""The stored patterns of an energy, about a common centre, scaled, tile by tile.

The bounds on rounding use the largest norm of each block of 64 patterns. The tiles therefore take patterns in the order
of the binary exponents of their lengths: a few rows hundreds of times as long as the rest, as the first positions of a
Transformer's contexts give, loosen no other block; and rows of like length are read in the order of storage.

Neither g nor E depends on the centre, and a power of two as scale changes no digit. E_MCHN depends on the origin, but
only through the lifts M² − ‖ρ_i‖² (service/theory/energy.py), which are computed once, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from workers.devices.memory import free_bytes
from workers.neighbors.device_rows import rows_on
from workers.neighbors.stored import CentredRows, StoredRows, centre_rows, rows_at_once, scale_below

Array = np.ndarray
BLOCK = 64  # patterns that share a bound
TILE_NUMBERS = {"cpu": 2**21, "cuda": 2**26}  # elements of one product
_BLOCK_ROWS = 512  # rows that stay in the cache
_RESIDENT_SHARE = 0.5  # of a GPU's free memory
RESIDENT_BYTES = 2**29  # rows up to this size are centred once, not anew for every block of queries


@dataclass(frozen=True)
class Tile:
    """P patterns that follow one another in the order of the tiles, in the precision of the products.

    Attributes:
        start: place of the first pattern in that order.
        ids: (P,) on the device.
        rows: (P, n) centred and scaled.
        norms_sq: (P,) squared norms.
        lifts: (P,) M² − ‖ρ‖² in the scale of squared distances.
    """

    start: int
    ids: Tensor
    rows: Tensor
    norms_sq: Tensor
    lifts: Tensor


@dataclass(frozen=True)
class Patterns:
    """All patterns of one energy.

    Attributes:
        rows: centred and scaled, by id.
        order: (d,) ids in the order of the tiles.
        precision: float32 or float64, the type of the products.
        device: the device that computes the products.
        resident: (d, n) all rows in that precision and order, where memory holds them; otherwise each tile is read and
            centred.
    """

    rows: CentredRows
    order: Tensor
    precision: torch.dtype
    device: torch.device
    resident: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows.stored)

    @property
    def stored(self) -> StoredRows:
        return self.rows.stored

    @property
    def scale(self) -> float:
        return self.rows.scale

    @property
    def unit(self) -> float:
        """Unit roundoff of the products."""
        return 2.0**-53 if self.precision == torch.float64 else 2.0**-24

    @property
    def gamma(self) -> float:
        """|v − ‖x − ρ‖²| ≤ γ (‖x‖ + ‖ρ‖)² + `absolute` for a product v of rounded rows: neighbors/certificate.py."""
        terms = (self.rows.d + 24) * self.unit
        return 1.01 * terms / (1 - terms)

    @property
    def absolute(self) -> float:
        """Absolute error of a product from numbers below the smallest of the precision."""
        return 2.0**-1000 if self.precision == torch.float64 else 2.0**-100

    def tile(self, start: int, stop: int) -> Tile:
        """The patterns with places from `start` to `stop`."""
        rows = self.take(self.rows, self.order[start:stop]) if self.resident is None else self.resident[start:stop]
        ids, norms_sq, lifts = (whole[start:stop] for whole in self._in_order)
        return Tile(start, ids, rows, norms_sq, lifts)

    def block_maxima(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """(blocks,) the largest norm and the largest lift of each block of 64 places; `start` begins a block."""
        longest, largest_lifts = (whole[start // BLOCK : -(-stop // BLOCK)] for whole in self._block_maxima)
        return longest, largest_lifts

    @cached_property
    def _in_order(self) -> tuple[Tensor, Tensor, Tensor]:
        """(d,) ids, squared norms and lifts in the order of the tiles, on the device."""
        norms_sq, lifts = (whole[self.order].to(self.device, self.precision) for whole in (self.norms_sq, self.lifts))
        return self.order.to(self.device), norms_sq, lifts

    @property
    def ids_in_order(self) -> Tensor:
        """(d,) the id of each place, on the device."""
        return self._in_order[0]

    @cached_property
    def _block_maxima(self) -> tuple[Tensor, Tensor]:
        """(blocks,) as `block_maxima`, of all places."""
        _, norms_sq, lifts = self._in_order
        return of_blocks(norms_sq.sqrt()), of_blocks(lifts)

    def places_of(self, ids: Tensor) -> Tensor:
        """(m,) places of some patterns in the order of the tiles; −1 for the id −1."""
        return torch.where(ids >= 0, self._places[ids.clamp(min=0)], -1)

    @cached_property
    def _places(self) -> Tensor:
        places = torch.empty_like(self.order)
        places[self.order] = torch.arange(len(places))
        return places

    @cached_property
    def widened(self) -> Patterns:
        """The same patterns with products in float64."""
        return Patterns(self.rows, self.order, torch.float64, self.device)

    def reaching(self, distance: float) -> Patterns:
        """The same in float64, and in a scale that brings points up to `distance` from the centre under a norm of 1."""
        rows = CentredRows(self.rows.stored, self.rows.centre, min(self.scale, scale_below(distance)))
        return Patterns(rows, self.order, torch.float64, self.device)

    def compute_norms(self) -> None:
        """Compute the cached norms and lifts now, so that the first evaluation does not wait for them."""
        _ = self._block_maxima

    def centred(self, queries: StoredRows) -> CentredRows:
        """Other rows about the same centre, in the same scale."""
        return CentredRows(queries, self.rows.centre, self.rows.scale)

    def place(self, points: Array) -> Tensor:
        """(m, n) float64: points of the space about the centre, in the scale."""
        return (torch.from_numpy(np.asarray(points, dtype=np.float64)) - self.rows.centre.double()) * self.scale

    def take(self, rows: CentredRows, ids: Tensor) -> Tensor:
        """(m, n) rows in the precision of the products, on the device."""
        if self.precision == torch.float64:
            return rows.take_float64(ids, self.rows.centre.double()).to(self.device)
        return rows.take(ids).to(self.device)

    @cached_property
    def norms_sq(self) -> Tensor:
        """(d,) float64 squared norms of the rounded rows that are multiplied."""
        if self.resident is not None:
            blocks = self.resident.split(rows_at_once(self.device))
            return torch.cat([squared_norms(block) for block in blocks]).cpu()[self._places]
        blocks = torch.arange(len(self)).split(_BLOCK_ROWS)
        return torch.cat([squared_norms(self.take(self.rows, ids)).cpu() for ids in blocks])

    @cached_property
    def lifts(self) -> Tensor:
        """(d,) float64, scaled: M² − ‖ρ_i‖² = t_M − t_i with t = (ρ − c)·(ρ + c), the squared norm but for ‖c‖²."""
        stored, shifted = rows_on(self.stored, self.device), []
        centre = self.rows.centre.double().to(self.device) * self.scale
        for ids in torch.arange(len(self), device=self.device).split(rows_at_once(self.device)):
            rows = stored.take(ids).double().mul_(self.scale)
            shifted.append(torch.linalg.vecdot(rows - centre, rows.add_(centre)))
        norms = torch.cat(shifted).cpu()
        return norms.max() - norms

    @cached_property
    def two_extremes(self) -> tuple[Tensor, Tensor]:
        """The two smallest and the two largest lifts, which give Δ and M when any one pattern is left out."""
        count = min(2, len(self))
        return self.lifts.topk(count, largest=False).values, self.lifts.topk(count).values


def shifted_distances_sq(queries: Tensor, tile: Tile, added: Tensor, own: Tensor) -> Tensor:
    """(m, P) a − 2 x·ρ: with a = ‖ρ‖² squared distances less ‖x‖², with the lift besides the lifted ones.

    Args:
        added: (P,) a.
        own: (m,) place of the pattern that is left out for each query: its value is inf; −1 for none.
    """
    return leave_out(torch.addmm(added, queries, tile.rows.T, alpha=-2.0), tile, own)


def leave_out(values: Tensor, tile: Tile, own: Tensor) -> Tensor:
    """(m, P) values with inf at the place of each query's own pattern, in place; −1 for none."""
    inside = (own >= tile.start) & (own < tile.start + len(tile.rows))
    if values.device.type != "cpu":  # where `nonzero` waits
        column = torch.where(inside, own - tile.start, 0)[:, None]
        return values.scatter_(1, column, torch.where(inside[:, None], torch.inf, values.gather(1, column)))
    mine = torch.nonzero(inside)[:, 0]
    values[mine, own[mine] - tile.start] = torch.inf
    return values


def squared_norms(rows: Tensor) -> Tensor:
    """(m,) float64 ‖x‖² of (m, n) rows."""
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square()


def of_blocks(values: Tensor) -> Tensor:
    """(P / 64,) the largest of each block of (P,) values."""
    padded = torch.nn.functional.pad(values, (0, -len(values) % BLOCK), value=-torch.inf)
    return padded.view(-1, BLOCK).amax(dim=1)


def tile_order(lengths: Tensor) -> Tensor:
    """(n,) ids by the binary exponent of (n,) lengths ‖x‖∞, those of equal exponent as they are stored."""
    return torch.argsort(torch.frexp(lengths).exponent, stable=True)


def beta_in_range(beta: float, precision: torch.dtype) -> float:
    """β as the precision can hold it: beyond these limits the weights are those of the nearest, or all equal."""
    largest = 1e300 if precision == torch.float64 else 1e30
    return min(max(beta, 1 / largest), largest)


def prepare_patterns(
    stored: StoredRows,
    *,
    precision: torch.dtype | None = None,
    device: torch.device | None = None,
    most_bytes: int = RESIDENT_BYTES,
) -> Patterns:
    """Centre and scale the patterns.

    Args:
        precision: type of the products; None: float64 for rows stored in float64, float32 for others.
        most_bytes: float32 rows up to this size are kept in memory; others are read and centred tile by tile.

    Raises:
        InvalidInput: there are none.
        NonFiniteData, InvalidInput: naming a row whose squared distances no double holds, as `centre_rows`.
    """
    if not len(stored):
        raise InvalidInput("an energy needs at least one pattern", field="patterns")
    device = device or torch.device("cpu")
    sets = [(rows_on(stored, device), torch.arange(len(stored), device=device))]
    (here,), lengths = centre_rows(sets, squared=True)
    kind = precision or (torch.float64 if stored.dtype == torch.float64 else torch.float32)
    order = tile_order(lengths)
    if device.type == "cuda":
        most_bytes = int(_RESIDENT_SHARE * free_bytes(device))
    keep = kind == torch.float32 and 4 * len(stored) * stored.d <= most_bytes
    rows = CentredRows(stored, here.centre.cpu(), here.scale)
    return Patterns(rows, order.cpu(), kind, device, _taken(here, order) if keep else None)


def _taken(rows: CentredRows, ids: Tensor) -> Tensor:
    """(m, n) float32 rows, taken block by block."""
    taken, step = torch.empty((len(ids), rows.d), device=ids.device), rows_at_once(ids.device)
    for part, block in zip(taken.split(step), ids.split(step), strict=True):
        part.copy_(rows.take(block))
    return taken
