"""Rows in a low-precision format, such that one matrix product of two panels gives half squared distances.

Right and left columns of a row x' (the rounded x), and what their product sums to:

    right   x' | l  h  l | p₁ p₂ p₃ | 1  1  1 | 1
    left   −x' | −h −l −l | 1  1  1 | p₁ p₂ p₃ | −s      Σ = ½‖x'‖² + ½‖y'‖² − x'·y' − s = ½‖x' − y'‖² − s

p₁ + p₂ + p₃ is ½‖x'‖² in three parts. The few dimensions with the largest rounding error (a Transformer's massive
dimensions) are kept in two parts, h + l, at the cost of three more columns each. Because the product is the squared
distance itself, rounding it to the format's few digits causes a relative error, not an absolute one. Where products are
rounded, the last column subtracts a shift s before: what is left of the distances of near pairs is small, and so is its
rounding. s is added again to every product that is read. In products in 32 bits, s = 0 and has no column.

Error bounds of a product v = Σ + s, with γ as in certificate.py, N = ‖x‖, and e = ‖x − x'‖ computed for every row:

    |½‖x' − y'‖² − v| ≤ relative · |v − s| + ½ γ (Nx + Ny)² + absolute    and    |‖x' − y'‖ − ‖x − y‖| ≤ ex + ey.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

ABSENT = 1e29  # half squared distances of rows are at most 2; those of empty slots and excluded pairs are above this
_EMPTY_HALF_SQ = 1e30
_EXCLUDED, _EXCLUDED_BITS = 1e38, 0x7F00  # the bits of 1.7e38 in bfloat16
_ALIGNMENT_BYTES = {"cpu": 64, "cuda": 128}  # of a cache line; of the depth of a product on tensor cores
_WHOLE_SHARE = 1 / 64
_MOST_SPLIT = 8
_UNIT_FLOAT32 = 2.0**-24
# Products of a step and fractional bits, as measured: Fasi et al. 2021 (PeerJ CS e330); arXiv 2511.10909, 2512.07004.
TENSOR_CORES = {"Ampere, Ada": (8, 24), "Hopper, Blackwell": (16, 25)}


@dataclass(frozen=True)
class Panel:
    """Encoded rows.

    Attributes:
        matrix: (m, columns) right columns.
        norms: (m,) float32 upper bounds on ‖x‖ and ‖x'‖; 0 for empty slots.
        errors: (m,) float32 upper bounds on ‖x − x'‖.
    """

    matrix: Tensor
    norms: Tensor
    errors: Tensor


@dataclass(frozen=True)
class Encoding:
    """The format of encoded rows: `d` dimensions in `dtype`, the dimensions `split` in two parts each.

    Attributes:
        shift: s, a number that the format holds; 0 unless products are rounded. The left columns alone depend on it.
    """

    d: int
    dtype: torch.dtype
    split: Tensor
    device: torch.device
    shift: float = 0.0

    @property
    def columns(self) -> int:
        used = self._ones.stop + self.rounded
        alignment = _ALIGNMENT_BYTES[self.device.type] // self.dtype.itemsize
        return math.ceil(used / alignment) * alignment

    @property
    def gamma(self) -> float:
        """γ of the accumulation; eight more terms cover the rounding of ½‖x'‖² too.

        On a CPU, float32 sums of K terms in any order: K units at most, of which twice as many are allowed. On a GPU
        also the sums of tensor cores, which `tensor_core_units` bounds.
        """
        of_a_term = 2.0 if self.device.type == "cpu" else max(1.0, *map(tensor_core_units, TENSOR_CORES.values()))
        terms = of_a_term * (self.columns + 8) * _UNIT_FLOAT32
        return 1.01 * terms / (1 - terms)

    @property
    def relative(self) -> float:
        """Relative rounding error of a product that is returned in a 16-bit format."""
        return 1.01 * 2.0**-8 if self.rounded else 0.0

    @property
    def absolute(self) -> float:
        """Absolute error from numbers below the smallest of the format, and of a sum that has the shift as a term."""
        return (2.0**-23 if self.dtype == torch.float16 else 2.0**-100) + self.gamma * self.shift

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def encode(self, rows: Tensor, present: Tensor | None = None) -> Panel:
        """Encode (m, d) float32 `rows`; those that are not `present`, of any value, become farther than any row."""
        rows, matrix = rows.to(self.device, copy=True), self.no_rows(len(rows))
        if present is not None:
            rows.masked_fill_(~present.to(self.device)[:, None], 0.0)
        return self.complete(matrix, *self.write_rows(rows, matrix), present)

    def no_rows(self, m: int) -> Tensor:
        """(m, columns) zeros."""
        return torch.zeros((m, self.columns), dtype=self.dtype, device=self.device)

    def write_rows(self, rows: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Write the columns that hold (m, d) float32 `rows`, whose memory is used.

        Returns:
            (m,) float64 ½‖x'‖² and (m,) float32 ‖x − x'‖.
        """
        matrix[:, : self.d] = rows
        represented = matrix[:, : self.d].float()
        lost = rows.sub_(represented)
        if len(self.split):
            low, high = lost[:, self.split].to(self.dtype), matrix[:, self.split]
            lost[:, self.split] -= low.float()
            represented[:, self.split] += low.float()
            matrix[:, self._extra] = torch.cat([low, high, low], dim=1)
        half_sq = torch.linalg.vector_norm(represented, dim=1, dtype=torch.float64).square() / 2
        return half_sq, torch.linalg.vector_norm(lost, dim=1)

    def complete(self, matrix: Tensor, half_sq: Tensor, errors: Tensor, present: Tensor | None) -> Panel:
        """The panel of all rows of `matrix`, after `write_rows`, with the columns of its products' other terms."""
        norms = (2 * half_sq).sqrt().float()
        # The relative error of the float32 rows is at most 1.001 · 2⁻²⁴, that of a sum of squares at most γ.
        errors = errors * (1 + self.gamma) + 1.01 * _UNIT_FLOAT32 * norms + 1e-30
        norms = (norms + errors) * (1 + self.gamma)
        if present is not None:
            absent = ~present.to(self.device)
            half_sq = half_sq.masked_fill(absent, _EMPTY_HALF_SQ)
            norms, errors = norms.masked_fill_(absent, 0.0), errors.masked_fill_(absent, 0.0)
        for part in range(self._parts):
            piece = half_sq.to(self.dtype)
            matrix[:, self._half_sq.start + part] = piece
            half_sq = torch.where(half_sq < ABSENT, half_sq - piece.double(), 0.0)
        matrix[:, self._ones.start : self._ones.stop + self.rounded] = 1
        return Panel(matrix, norms, errors)

    def empty_row(self) -> Tensor:
        """(columns,) the right columns of a row that is not present."""
        none = torch.zeros(1, self.d, device=self.device)
        return self.encode(none, none.new_zeros(1, dtype=torch.bool)).matrix[0]

    def left(self, right: Tensor) -> Tensor:
        """The left columns of rows, from their right columns."""
        left = -right
        m = len(self.split)
        low, high = slice(self.d, self.d + m), slice(self.d + m, self.d + 2 * m)
        left[:, low], left[:, high] = -right[:, high], -right[:, low]
        left[:, self._half_sq], left[:, self._ones] = right[:, self._ones], right[:, self._half_sq]
        left[:, self._ones.stop : self._ones.stop + self.rounded] = -self.shift
        return left

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """(a, b) half squared distances in an ordered type (see `values`): smaller means nearer.

        Those below the shift are before all others, in the reverse of their order.
        """
        if self.dtype == torch.float32:
            return left @ right.T
        if self.rounded:
            # bfloat16 numbers ≥ 0 have the order of their bits, and torch computes minima of int16 five times faster.
            return (left @ right.T).view(torch.int16)
        if self.device.type == "cpu":  # in tests of what a GPU does
            return left.float() @ right.float().T
        return torch.mm(left, right.T, out_dtype=torch.float32)

    @property
    def excluded(self) -> float:
        """A product, in the ordered type, above those of any rows."""
        return _EXCLUDED_BITS if self.rounded else _EXCLUDED

    def values(self, product: Tensor) -> Tensor:
        """Products as float32; at least `ABSENT` where there is no admissible row, below 0 only by rounding."""
        return product.view(torch.bfloat16).float().add_(self.shift) if self.rounded else product

    def least_half_sq(self, values: Tensor) -> Tensor:
        """The smallest ½‖x' − y'‖² with these products, but for what γ and the absolute error allow."""
        return values - self.relative * (values - self.shift).abs_() if self.rounded else values

    def most_half_sq(self, values: Tensor) -> Tensor:
        """The largest ½‖x' − y'‖² with these products, but for what γ and the absolute error allow."""
        return values + self.relative * (values - self.shift).abs_() if self.rounded else values

    def largest_value(self, half_sq: Tensor) -> Tensor:
        """The largest product v with `least_half_sq`(v) ≤ half_sq, in place; at least s, below which none is ordered.

        For v ≥ s, v − relative · (v − s) ≤ half_sq gives v ≤ (half_sq − relative · s) / (1 − relative).
        """
        if not self.rounded:
            return half_sq
        return half_sq.sub_(self.relative * self.shift).div_(1 - self.relative).clamp_(min=self.shift)

    @property
    def rounded(self) -> bool:
        """Whether the device returns products in the 16-bit format."""
        return self.dtype == torch.bfloat16 and self.device.type == "cpu"

    @property
    def _parts(self) -> int:
        return 1 if self.dtype == torch.float32 else 3

    @cached_property
    def _extra(self) -> slice:
        return slice(self.d, self.d + 3 * len(self.split))

    @cached_property
    def _half_sq(self) -> slice:
        return slice(self._extra.stop, self._extra.stop + self._parts)

    @cached_property
    def _ones(self) -> slice:
        return slice(self._half_sq.stop, self._half_sq.stop + self._parts)


def tensor_core_units(step: tuple[int, int]) -> float:
    """Error of a sum of K products on tensor cores over Σ|products|, for each of the K, in units of 2⁻²⁴.

    A step adds L products, exact in float32, to the sum so far: all are aligned to the largest and truncated after F
    fractional bits, and the result is truncated to float32. With S = Σ|products|, which bounds every sum and product,
    the L + 1 truncations of a step err by less than (L + 1) 2⁻ᶠ S and the last by less than 2⁻²³ S. K/L steps err by

        K ((1 + 1/L) 2⁻ᶠ + 2⁻²³/L) · S.
    """
    products, bits = step
    return ((1 + 1 / products) * 2.0**-bits + 2.0**-23 / products) / _UNIT_FLOAT32


def choose_encoding(sample: Tensor, dtype: torch.dtype, device: torch.device) -> Encoding:
    """The encoding for rows like the (m, d) float32 `sample`; the dimensions with most error are kept in two parts."""
    d = sample.shape[1]
    if dtype == torch.float32:
        return Encoding(d, dtype, torch.empty(0, dtype=torch.int64, device=device), device)
    lost_sq = (sample - sample.to(dtype).float()).square().sum(dim=0)
    worst = lost_sq.topk(min(_MOST_SPLIT, d))
    split = worst.indices[worst.values > _WHOLE_SHARE * lost_sq.sum()]
    return Encoding(d, dtype, split.sort().values.to(device), device)
