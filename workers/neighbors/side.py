"""One side of a search, queries or database: rows in slots, encoded for the filter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from workers.neighbors.encoding import Encoding, Panel
from workers.neighbors.layout import BLOCK, Layout
from workers.neighbors.stored import CentredRows

_ENCODED_AT_ONCE = {"cpu": 256, "cuda": 16_384}  # rows that stay in a core's cache; enough to occupy a GPU


@dataclass
class Side:
    """Rows in slots, encoded, with the numbers that their bounds depend on.

    Attributes:
        rows: the centred rows.
        layout: the row of each slot.
        codes: (slots,) int64; pairs of equal code are excluded.
        encoding: the filter's format.
        norms, errors: (slots,) float32, see `Panel`.
        matrix: (slots, columns) right columns of all slots; None: a panel is encoded whenever it is needed.
    """

    rows: CentredRows
    layout: Layout
    codes: Tensor
    encoding: Encoding
    norms: Tensor
    errors: Tensor
    matrix: Tensor | None

    def right(self, slots: slice) -> Tensor:
        """(m, columns) right columns of some slots."""
        return self._encode(slots).matrix if self.matrix is None else self.matrix[slots]

    def right_of(self, slots: Tensor) -> Tensor:
        """(m, columns) right columns of some slots that do not follow one another."""
        return self._encode(slots).matrix if self.matrix is None else self.matrix.index_select(0, slots)

    def take(self, slots: Tensor) -> Tensor:
        """(m, d) rows of some full slots, as stored."""
        return self.rows.stored.take(self.layout.ids[slots])

    def part(self, slots: slice) -> Side:
        """Some slots, of whole blocks; nothing is copied."""
        matrix = None if self.matrix is None else self.matrix[slots]
        codes, norms, errors = self.codes[slots], self.norms[slots], self.errors[slots]
        return Side(self.rows, self.layout.part(slots), codes, self.encoding, norms, errors, matrix)

    def empty(self, slots: Tensor) -> None:
        """Remove some rows from the search; their slots become empty."""
        self.layout.ids[slots] = -1
        self.norms[slots], self.errors[slots] = 0.0, 0.0
        if self.matrix is not None and len(slots):
            self.matrix[slots] = self.encoding.empty_row()

    @cached_property
    def block_norms(self) -> Tensor:
        """(blocks,) the largest norm in each block."""
        return self.norms.view(-1, BLOCK).amax(dim=1)

    @cached_property
    def block_errors(self) -> Tensor:
        """(blocks,) the largest error in each block."""
        return self.errors.view(-1, BLOCK).amax(dim=1)

    def _encode(self, slots: slice | Tensor) -> Panel:
        ids = self.layout.ids[slots]
        present = ids >= 0
        return self.encoding.encode(self.rows.take(ids.clamp(min=0)), None if _full(present) else present)

    def _centred(self, slots: slice) -> Tensor:
        """(m, d) float32 rows of some slots, zeros for empty ones."""
        ids = self.layout.ids[slots]
        present, rows = ids >= 0, self.rows.take(ids.clamp(min=0))
        # The row read for an empty slot may hold any value, even inf or nan.
        return rows if _full(present) else rows.masked_fill_(~present[:, None], 0.0)


def encode_side(rows: CentredRows, layout: Layout, codes: Tensor, encoding: Encoding, *, resident: bool) -> Side:
    """Encode all slots; keep the columns if `resident`, otherwise only norms and errors."""
    slots, device, step = layout.slots, encoding.device, _ENCODED_AT_ONCE[encoding.device.type]
    norms, errors = torch.empty(slots, device=device), torch.empty(slots, device=device)
    side = Side(rows, layout, codes.to(device), encoding, norms, errors, None)
    parts = [slice(start, min(start + step, slots)) for start in range(0, slots, step)]
    if not resident:
        for part in parts:
            panel = side._encode(part)
            norms[part], errors[part] = panel.norms, panel.errors
        return side
    matrix, half_sq = encoding.no_rows(slots), torch.empty(slots, dtype=torch.float64, device=device)
    for part in parts:
        half_sq[part], errors[part] = encoding.write_rows(side._centred(part), matrix[part])
    panel = encoding.complete(matrix, half_sq, errors, layout.ids >= 0)
    side.norms, side.errors, side.matrix = panel.norms, panel.errors, panel.matrix
    return side


def _full(present: Tensor) -> bool:
    """Whether all are; False on a GPU, which would have to be waited for."""
    return present.device.type == "cpu" and bool(present.all())
