"""A filter of pairs by products in bfloat16, for CPUs that multiply it several times as fast as float32.

Where β is large beside the distances, few patterns weigh at a query: bounds exclude the others, and the sums are of
float64 values alone. A product gives D' = ‖x' − ρ'‖², the squared distance of the rounded rows (neighbors/encoding.py),
and from it follow the values D − ‖x‖² of tile_scan.py, with the lift where they are lifted. With e = ‖x − x'‖ +
‖ρ − ρ'‖ and N as there,

    |D − D'| ≤ relative · D' + s + 2 e √(D' + relative · D' + s) + e²,    s = γ (N_x + N_ρ)² + 2 absolute.

This error grows with D', and value − error with the value: a bound for the smallest value of a block of patterns, with
the largest N and e and the smallest lift of the block, is a bound for all of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from workers.energy.patterns import BLOCK, Patterns, of_blocks
from workers.neighbors.encoding import ABSENT, Encoding, Panel, choose_encoding
from workers.neighbors.sampling import spread

_LONG, _LEAST_SHARE = 8.0, 0.75  # times the median norm; of the patterns, that are before the first longer one
_SAMPLED, _ENCODED_AT_ONCE, _LIFTED_AT_ONCE = 1000, 256, 128
_TIMED_ROWS, _FASTER = 512, 2.0
_ROUNDED_UP = 1 + 1e-5  # more than the float32 rounding of the bounds themselves


@dataclass(frozen=True)
class Filter:
    """The patterns at the first places, encoded; the few long ones after them are multiplied in float32.

    Attributes:
        panel: of whole blocks: places without a pattern complete the last one.
        stop: the first place that is not encoded.
        norms, errors: (blocks,) the largest of each block; `lifts`: (places,), and `least_lifts`: the smallest.
    """

    patterns: Patterns
    encoding: Encoding
    panel: Panel
    stop: int
    norms: Tensor
    errors: Tensor
    lifts: Tensor
    least_lifts: Tensor

    @classmethod
    def of(cls, patterns: Patterns) -> Filter | None:
        """Encode the patterns; None where their rows are not in memory, or too many are long."""
        norms = patterns.norms_sq[patterns.order].sqrt()
        long = torch.nonzero(norms > _LONG * norms.median())[:, 0]
        stop = int(long[0]) // BLOCK * BLOCK if len(long) else len(patterns)
        if patterns.resident is None or patterns.precision != torch.float32 or stop < _LEAST_SHARE * len(patterns):
            return None
        rows, missing = patterns.resident[:stop], -stop % BLOCK
        encoding = choose_encoding(rows[spread(torch.arange(stop), _SAMPLED)], torch.bfloat16, patterns.device)
        panel = _encoded(encoding, torch.nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows, stop)
        lifts = torch.nn.functional.pad(patterns.tile(0, stop).lifts, (0, missing), value=torch.inf)
        least = -of_blocks(-lifts)
        return cls(patterns, encoding, panel, stop, of_blocks(panel.norms), of_blocks(panel.errors), lifts, least)

    def queries(self, rows: Tensor, norms_sq: Tensor) -> FilterQueries:
        """Encode (m, n) float32 queries with these squared norms."""
        panel = self.encoding.encode(rows)
        return FilterQueries(self, self.encoding.left(panel.matrix), panel.norms, panel.errors, norms_sq.float())


@dataclass(frozen=True)
class FilterQueries:
    """Queries, encoded: their (m, columns) left columns; (m,) N, e and ‖x‖²."""

    filter: Filter
    left: Tensor
    norms: Tensor
    errors: Tensor
    norms_sq: Tensor

    def products(self, start: int, stop: int, own: Tensor) -> Tensor:
        """(m, places) ½ D' as the bits of bfloat16, with the patterns at some places.

        Args:
            own: (m,) place of the pattern that is left out for each query; −1 for none.
        """
        encoding = self.filter.encoding
        bits = encoding.product(self.left, self.filter.panel.matrix[start:stop])
        mine = torch.nonzero((own >= start) & (own < stop))[:, 0]
        bits[mine, own[mine] - start] = int(encoding.excluded)
        return bits


class FilterTile:
    """The values, plain or lifted, of m queries with some blocks of patterns.

    Attributes:
        start: place of the first pattern.
        lowers, uppers: (m, blocks) bounds on the smallest value of each block; inf where no pattern is admissible.
    """

    def __init__(self, queries: FilterQueries, bits: Tensor, start: int, *, lifted: bool) -> None:
        of = queries.filter
        self.start, self._queries, self._lifted = start, queries, lifted
        self._bits = bits.view(len(bits), -1, BLOCK)
        self._blocks = blocks = slice(start // BLOCK, start // BLOCK + self._bits.shape[1])
        minima = self._lifted_minima() if lifted else self._plain_minima()
        lifts = of.least_lifts[blocks] if lifted else 0.0
        error = self._error(minima - lifts, queries.norms[:, None], queries.errors[:, None], blocks)
        error = error + self._lift_error(minima) if lifted else error
        none, values = minima >= ABSENT, minima - queries.norms_sq[:, None]
        self.lowers = (values - error).masked_fill_(none, torch.inf)
        self.uppers = (values + error).masked_fill_(none, torch.inf)

    def cells(self, query: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
        """(cells, 64) the values of some queries and blocks, inf for pairs that are not admissible; lower bounds."""
        queries, of = self._queries, self._queries.filter
        distances_sq = 2 * self._bits[query, block].view(torch.bfloat16).float()
        error = self._error(
            distances_sq,
            queries.norms[query][:, None],
            queries.errors[query][:, None],
            block[:, None] + self._blocks.start,
        )
        values = distances_sq - queries.norms_sq[query][:, None]
        if self._lifted:
            values = values + of.lifts.view(-1, BLOCK)[block + self._blocks.start]
            error = error + self._lift_error(values)
        values = values.masked_fill_(distances_sq >= ABSENT, torch.inf)
        return values, torch.where(values < torch.inf, values - error, torch.inf)

    def _plain_minima(self) -> Tensor:
        """(m, blocks) D'. Numbers ≥ 0 have the order of their bits; those below 0, by rounding alone, count as 0."""
        smallest = self._bits.amin(dim=2)
        return 2 * torch.where(smallest < 0, 0, smallest).view(torch.bfloat16).float()

    def _lifted_minima(self) -> Tensor:
        """(m, blocks) D' + lift."""
        lifts = self._queries.filter.lifts.view(-1, BLOCK)[self._blocks]
        parts = self._bits.view(torch.bfloat16).split(_LIFTED_AT_ONCE)
        return torch.cat([torch.add(lifts, part, alpha=2).amin(dim=2) for part in parts])

    def _error(self, distances_sq: Tensor, norms: Tensor, errors: Tensor, blocks: slice | Tensor) -> Tensor:
        """Bounds on |D − D'|, and on the rounding of D' − ‖x‖²."""
        of, encoding = self._queries.filter, self._queries.filter.encoding
        reach_sq, lost = (norms + of.norms[blocks]).square(), errors + of.errors[blocks]
        fixed = encoding.gamma * reach_sq + 2 * encoding.absolute
        relative = encoding.relative * distances_sq.clamp(min=0) + fixed
        of_rows = lost * (2 * (distances_sq.clamp(min=0) + relative).sqrt() + lost)
        return (relative + of_rows + of.patterns.gamma * reach_sq) * _ROUNDED_UP

    def _lift_error(self, values: Tensor) -> Tensor:
        """Bounds on the rounding of a value by its lift."""
        return 4 * self._queries.filter.patterns.unit * values.abs()


@cache
def filter_pays(d: int) -> bool:
    """Whether this CPU multiplies bfloat16 at least twice as fast as float32 (measured once)."""
    rows = torch.ones((_TIMED_ROWS, d))
    return _FASTER * _seconds(rows.to(torch.bfloat16)) < _seconds(rows)


def _seconds(rows: Tensor) -> float:
    """The shortest time of a product of the rows with themselves."""
    taken = []
    for _ in range(4):
        began = time.perf_counter()
        _ = rows @ rows.T
        taken.append(time.perf_counter() - began)
    return min(taken)


def _encoded(encoding: Encoding, rows: Tensor, count: int) -> Panel:
    """The panel of float32 `rows`, of which the first `count` are present, encoded while they are in the cache."""
    matrix = encoding.no_rows(len(rows))
    parts = [
        encoding.write_rows(block.clone(), into)
        for block, into in zip(rows.split(_ENCODED_AT_ONCE), matrix.split(_ENCODED_AT_ONCE), strict=True)
    ]
    half_sq, errors = (torch.cat(column) for column in zip(*parts, strict=True))
    return encoding.complete(matrix, half_sq, errors, torch.arange(len(rows)) < count)
