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

Array = np.ndarray
_SAMPLED_ROWS = 250
_BLOCK_ROWS = 512  # rows that stay in the cache
_SHORTEST, _LONGEST = 1e-150, 1e150  # their squares are still far from the ends of float64


class StoredRows:
    """(n, d) rows in one array or, one after another, in several, of dtype float16, float32 or float64.

    The arrays may be memory-mapped: only rows that are taken are read.
    """

    def __init__(self, parts: Array | Sequence[Array]) -> None:
        arrays = [parts] if isinstance(parts, np.ndarray) else list(parts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch warns of read-only memory; nothing is written here
            self._parts = [torch.from_numpy(array) for array in arrays]
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def d(self) -> int:
        return self._parts[0].shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self._parts[0].dtype

    def take(self, ids: Tensor) -> Tensor:
        """(m, d) rows of the (m,) int64 ids, as stored."""
        if len(self._parts) == 1:
            return self._parts[0].index_select(0, ids)
        taken = torch.empty((len(ids), self.d), dtype=self.dtype)
        part_of = np.searchsorted(self._starts, ids.numpy(), side="right") - 1
        for part in np.unique(part_of):
            at = torch.from_numpy(np.flatnonzero(part_of == part))
            taken[at] = self._parts[part].index_select(0, ids[at] - int(self._starts[part]))
        return taken


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
        """(m, d) float32; each element within 2⁻²³ of its own size, plus 2⁻¹²⁶."""
        return (self.stored.take(ids) - self.centre).mul_(self.scale).float()

    def take_float64(self, ids: Tensor, centre: Tensor) -> Tensor:
        """(m, d) float64 rows about another `centre`, (d,) float64, with the same scale."""
        return (self.stored.take(ids).double() - centre).mul_(self.scale)


def lengths_of(rows: CentredRows, ids: Tensor) -> Tensor:
    """(m,) float32 ‖x‖∞ of some centred rows.

    Subtraction and maximum round in one way, whatever the order of the elements: all workers of a search get the same
    numbers, to the last bit, which sums of squares do not give.
    """
    blocks = [rows.take(block).abs_().amax(dim=1) for block in ids.split(_BLOCK_ROWS)]
    return torch.cat(blocks) if blocks else torch.empty(0)


def robust_centre(rows: StoredRows, ids: Tensor) -> Tensor:
    """(d,) float64 median per dimension of some evenly spaced rows: a far outlier does not move it."""
    return rows.take(ids[:: max(1, len(ids) // _SAMPLED_ROWS)]).double().median(dim=0).values


def centre_rows(sets: Sequence[tuple[StoredRows, Tensor]]) -> list[CentredRows]:
    """Centre and scale the rows `ids` of each set by the same numbers, about the robust centre of the first.

    Raises:
        NonFiniteData: a row is not finite, or the squared norms overflow a double.
        InvalidInput: the rows differ, by so little that their squared distances underflow a double.
    """
    centre = robust_centre(*sets[0])
    longest = max(_longest(rows, chosen, centre) for rows, chosen in sets)
    check_longest(longest)
    scale = 2.0 ** -math.ceil(math.log2(longest)) if longest > 0 else 1.0
    # All sets share one centre, to the last bit. Near the ends of its range float32 would overflow in the subtraction
    # or lose small numbers.
    narrow = all(rows.dtype != torch.float64 for rows, _ in sets) and 2.0**-60 < longest < 2.0**100
    return [CentredRows(rows, centre.float() if narrow else centre, scale) for rows, _ in sets]


def check_longest(longest: float) -> None:
    """Refuse rows whose largest norm about their centre has a square outside the range of a double.

    Raises:
        NonFiniteData: it overflows, or a row is not finite.
        InvalidInput: it underflows, and the rows differ.
    """
    if not longest < _LONGEST:
        raise NonFiniteData("a row is not finite, or the squared norms overflow a double; scale the vectors down")
    if 0 < longest < _SHORTEST:
        raise InvalidInput("the squared distances of the rows underflow a double; scale the vectors up")


def _longest(rows: StoredRows, ids: Tensor, centre: Tensor) -> float:
    """The norm of the farthest corner of the box around all rows, seen from `centre`: no row's norm is larger."""
    low, high = centre.clone(), centre.clone()
    for start in range(0, len(ids), _BLOCK_ROWS):
        block = rows.take(ids[start : start + _BLOCK_ROWS])
        low, high = torch.minimum(low, block.amin(dim=0)), torch.maximum(high, block.amax(dim=0))
    # Rounding the centre to float32 moves a row by 2⁻²⁴ of the centre's size at most.
    reach = torch.maximum(high - centre, centre - low) + 2.0**-23 * centre.abs()
    return max(float(torch.linalg.vector_norm(reach)), float(reach.max()))  # the norm underflows before its parts do
