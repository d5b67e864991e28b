"""Rows as they are stored, in memory or memory-mapped, and their centred float32 form.

Subtracting a common centre and multiplying by a power of two changes neither which row is nearest nor any digit of a
distance's mantissa; it makes the bounds of a low-precision filter sharp.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput, NonFiniteData
from service.norms import LONGEST_SQUARED, SHORTEST_SQUARED, scaled_norms
from workers.neighbors.sampling import spread

Array = np.ndarray
_SAMPLED_ROWS = 250
_BLOCK_ROWS = {"cpu": 512, "cuda": 65_536}  # rows that stay in the cache; enough to occupy a GPU
_SHORTEST, _LONGEST = 2.0**-1000, 2.0**1000  # a power of two scales them, and their sums do not overflow
_ROUNDED_UP = 1 + 2.0**-22  # more than float32's rounding of a difference
_SHORT_NORM, _LONG_NORM = 1e-140, 1e140  # between them no square of an element that counts is lost


class StoredRows:
    """(n, d) rows in one array or, one after another, in several, of dtype float16, float32 or float64.

    The arrays may be memory-mapped: only rows that are taken are read.
    """

    def __init__(self, parts: Array | Sequence[Array]) -> None:
        arrays = [parts] if isinstance(parts, np.ndarray) else list(parts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch warns of read-only memory; nothing is written here
            self._parts = [torch.from_numpy(array) for array in arrays]
        self._arrays = arrays
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def d(self) -> int:
        return self._parts[0].shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self._parts[0].dtype

    @property
    def device(self) -> torch.device:
        """The device of the ids that `take` is given and of the rows that it returns."""
        return torch.device("cpu")

    @property
    def parts(self) -> list[Tensor]:
        """The arrays, as tensors in the host's memory."""
        return self._parts

    def take(self, ids: Tensor) -> Tensor:
        """(m, d) rows of the (m,) int64 ids, as stored; raises `IndexError` for an id that no row has."""
        if len(self._parts) == 1:
            return self._parts[0].index_select(0, ids)
        at = ids.numpy()
        if len(at) and not 0 <= at.min() <= at.max() < len(self):
            raise IndexError(f"ids from {at.min()} to {at.max()} of {len(self)} rows")
        part_of = np.searchsorted(self._starts, at, side="right") - 1
        order = np.argsort(part_of, kind="stable")
        within = (at - self._starts[part_of])[order]
        ends = np.cumsum(np.bincount(part_of, minlength=len(self._arrays)))
        gathered = np.empty((len(ids), self.d), dtype=self._arrays[0].dtype)
        # All ids were checked: "clip" changes none, and "raise" would gather into a copy.
        for rows, begin, end in zip(self._arrays, [0, *ends[:-1]], ends, strict=True):
            if begin < end:
                np.take(rows, within[begin:end], axis=0, out=gathered[begin:end], mode="clip")
        taken = torch.empty((len(ids), self.d), dtype=self.dtype)
        return taken.index_copy_(0, torch.from_numpy(order), torch.from_numpy(gathered))


@dataclass(frozen=True)
class CentredRows:
    """(row − centre) · scale, rounded once to float32 (twice where the rows are stored in float64).

    Attributes:
        centre: (d,) in float64, or in float32 where the rows then need only one rounding.
        scale: a power of two that brings every norm under 1.
    """

    stored: StoredRows
    centre: Tensor
    scale: float

    @property
    def d(self) -> int:
        return self.stored.d

    def take(self, ids: Tensor) -> Tensor:
        """(m, d) float32; each element within 1.001 · 2⁻²⁴ of its own size, plus 2⁻¹²⁶."""
        rows = self.stored.take(ids)
        rows = rows.sub_(self.centre) if rows.dtype == self.centre.dtype else rows - self.centre
        return rows.mul_(self.scale).float()

    def take_float64(self, ids: Tensor, centre: Tensor) -> Tensor:
        """(m, d) float64 rows about another `centre`, (d,) float64, with the same scale."""
        return (self.stored.take(ids).double() - centre).mul_(self.scale)


def lengths_of(rows: CentredRows, ids: Tensor) -> Tensor:
    """(m,) float32 ‖x‖∞ of some centred rows.

    Subtraction and maximum round in one way, whatever the order of the elements: all workers of a search get the same
    numbers, to the last bit, which sums of squares do not give.
    """
    blocks = [rows.take(block).abs_().amax(dim=1) for block in ids.split(rows_at_once(ids.device))]
    return torch.cat(blocks) if blocks else torch.empty(0)


def rows_at_once(device: torch.device) -> int:
    """Rows of one step of a pass over all rows."""
    return _BLOCK_ROWS[device.type]


def robust_centre(rows: StoredRows, ids: Tensor) -> Tensor:
    """(d,) float64 median per dimension of some rows: a far outlier does not move it."""
    return rows.take(spread(ids, _SAMPLED_ROWS)).double().median(dim=0).values


def centre_rows(
    sets: Sequence[tuple[StoredRows, Tensor]], *, squared: bool = False
) -> tuple[list[CentredRows], Tensor]:
    """Centre and scale the rows `ids` of each set by the same numbers, about the robust centre of the first.

    Args:
        sets: rows, and the ids of those that are centred; the rows of a second set are queries.
        squared: squares of the distances are wanted too, which a double holds of fewer rows.

    Returns:
        The sets, and the `lengths_of` the first one's ids.

    Raises:
        NonFiniteData: naming a row that is not finite, or so far from the others that a double does not hold it.
        InvalidInput: the rows differ by so little that a double does not hold it.
    """
    centre = robust_centre(*sets[0])
    # All sets share one centre, to the last bit: its numbers are elements of rows, so that float32 holds those of such
    # rows. Near the ends of its range float32 would overflow in the subtraction or lose small numbers.
    narrow = all(rows.dtype != torch.float64 for rows, _ in sets)
    longest, lengths = _extent(sets, centre.float() if narrow else centre)
    if narrow and not 2.0**-60 < longest < 2.0**100:
        narrow, (longest, lengths) = False, _extent(sets, centre)
    check_longest(longest, sets, centre, squared=squared)
    scale = scale_below(longest)
    found = [CentredRows(rows, centre.float() if narrow else centre, scale) for rows, _ in sets]
    return found, (lengths * scale).float()


def scale_below(longest: float) -> float:
    """The power of two that brings `longest` to (½, 1]; 1 for 0."""
    return 2.0 ** -math.ceil(math.log2(longest)) if longest > 0 else 1.0


def check_longest(
    longest: float, sets: Sequence[tuple[StoredRows, Tensor]], centre: Tensor, *, squared: bool = False
) -> None:
    """Refuse rows whose largest norm about their centre, or its square where that is wanted, no double holds.

    Raises:
        NonFiniteData, InvalidInput: as `centre_rows`.
    """
    low, high = (SHORTEST_SQUARED, LONGEST_SQUARED) if squared else (_SHORTEST, _LONGEST)
    if longest == 0 or low <= longest < high:
        return
    far = [_farthest(rows, ids, centre) for rows, ids in sets]
    at = int(np.argmax([distance for _, distance in far]))  # the first that is not finite
    (row, distance), kind = far[at], ("row", "query row")[at]
    what = "squared distances" if squared else "distances"
    if not longest < high:
        if math.isnan(distance):
            raise NonFiniteData(f"{kind} {row} is not finite")
        raise NonFiniteData(
            f"{kind} {row} is {distance:.3g} from the centre of the rows: {what} overflow a double; scale the vectors "
            "down"
        )
    raise InvalidInput(
        f"no row is farther from the centre of the rows than {kind} {row}, which is {distance:.3g} from it: {what} "
        "underflow a double; scale the vectors up"
    )


def _farthest(rows: StoredRows, ids: Tensor, centre: Tensor) -> tuple[int, float]:
    """The id and the distance of the row farthest from the centre; nan, of the first row that is not finite."""
    found = (-1, -1.0)
    for block in ids.split(rows_at_once(ids.device)):
        taken = rows.take(block).double()
        finite = torch.isfinite(taken).all(dim=1)
        if not bool(finite.all()):
            return int(block[int(finite.int().argmin())]), math.nan
        distances = row_norms(taken - centre)
        if len(block) and float(distances.max()) > found[1]:
            found = int(block[int(distances.argmax())]), float(distances.max())
    return found


def _extent(sets: Sequence[tuple[StoredRows, Tensor]], centre: Tensor) -> tuple[float, Tensor]:
    """The norm of the farthest corner of the box about `centre` that holds all rows, than which no row's is larger.

    Args:
        centre: (d,) of the type in which it is subtracted.

    Returns:
        That norm, and the (m,) ‖x‖∞ about the centre of the rows of the first set.
    """
    widest, lengths = torch.zeros_like(centre), [[centre.new_empty(0)] for _ in sets]
    for (rows, ids), found in zip(sets, lengths, strict=True):
        for part in ids.split(rows_at_once(ids.device)):
            block = rows.take(part)
            block = (block.sub_(centre) if block.dtype == centre.dtype else block - centre).abs_()
            widest = torch.maximum(widest, block.amax(dim=0))
            found.append(block.amax(dim=1))
    return float(row_norms(widest.double()[None])[0]) * _ROUNDED_UP, torch.cat(lengths[0])


def row_norms(rows: Tensor) -> Tensor:
    """(m,) ‖x‖ of (m, d) float64 rows; those whose squares may under- or overflow are scaled first."""
    norms = torch.linalg.vector_norm(rows, dim=1)
    doubtful = ~((norms > _SHORT_NORM) & (norms < _LONG_NORM))
    if bool(doubtful.any()):
        norms[doubtful] = torch.from_numpy(scaled_norms(rows[doubtful].cpu().numpy())).to(norms.device)
    return norms
