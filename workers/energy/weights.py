"""Softmax weights of many points over all patterns, tile by tile, for retrieval and curvature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from service.theory.energy import Kind
from workers.energy.patterns import RESIDENT_BYTES, TILE_NUMBERS, Patterns, Tile, beta_in_range, shifted_distances_sq

# log of the weights below which they count as 0: products of subnormal numbers take many times as long
_LEAST_EXPONENT = {torch.float32: -80.0, torch.float64: -700.0}
_LIGHT = 2.0**-24

Weighed = tuple[Tensor, Tensor]  # (P, n) patterns, and the (m, P) weights that the points give them


@dataclass(frozen=True)
class SoftmaxWeights:
    """p = softmax(−β D) for E, softmax(−½ β D') for E_MCHN, at m points.

    Attributes:
        points: (m, n) centred and scaled, in the precision of the products.
        beta: in the scale of the patterns; halved for E_MCHN.
        own: (m,) place of the pattern that is left out for each point, −1 for none.
        least: (m,) smallest value; `log_sums`: of exp(−β (v − least)).
    """

    patterns: Patterns
    kind: Kind
    points: Tensor
    beta: float
    own: Tensor
    least: Tensor
    log_sums: Tensor

    def tiles(self) -> Iterator[Weighed]:
        """Every tile with its weights; over all tiles a point's weights sum to 1."""
        least = _LEAST_EXPONENT[self.patterns.precision]
        for tile, values in _values(self.patterns, self.kind, self.points, self.own):
            values.sub_(self.least[:, None]).mul_(-self.beta).sub_(self.log_sums[:, None])
            yield tile.rows, values.masked_fill_(values < least, -torch.inf).exp_()

    def mean(self) -> Tensor:
        """(m, n) float64 Σ_i p_i ρ_i, centred and scaled: one retrieval step."""
        total = torch.zeros(self.points.shape, dtype=torch.float64, device=self.points.device)
        for rows, weights in self.tiles():
            total += (weights @ rows).double()
        return total

    def heaviest(self) -> Weighed | None:
        """The patterns that weigh at some point at least 2⁻²⁴ of its second largest weight.

        The largest may be all but 1, while the covariance is of the others. None where these patterns are too many to
        be kept in memory.
        """
        two = torch.zeros((len(self.points), 2), dtype=self.points.dtype, device=self.points.device)
        kept: list[Weighed] = []
        number_bytes, room = self.points.element_size(), RESIDENT_BYTES
        for rows, weights in self.tiles():
            two = torch.cat([two, weights], dim=1).topk(2).values
            heavy = (weights >= _LIGHT * two[:, 1:]) & (weights > 0)
            columns = torch.nonzero(heavy.any(dim=0))[:, 0]
            room -= number_bytes * len(columns) * (rows.shape[1] + len(weights))
            if room < 0:
                return None
            kept.append((rows[columns], weights[:, columns]))
        return torch.cat([rows for rows, _ in kept]), torch.cat([weights for _, weights in kept], dim=1)


def softmax_weights(
    patterns: Patterns, points: Tensor, beta: float, kind: Kind, own: Tensor | None = None
) -> SoftmaxWeights:
    """The weights at (m, n) centred, scaled float64 `points`; one pass for their normalisation."""
    narrow = points.to(patterns.device, patterns.precision)
    left_out = torch.full((len(points),), -1) if own is None else patterns.places_of(own)
    left_out = left_out.to(patterns.device)
    scaled = beta_in_range(beta / patterns.scale**2 / (1 if kind == "energy" else 2), patterns.precision)
    least = torch.full((len(points),), torch.inf, dtype=torch.float64, device=patterns.device)
    sums = torch.zeros_like(least)
    for _, values in _values(patterns, kind, narrow, left_out):
        lower = torch.minimum(least, values.amin(dim=1).double())
        sums *= torch.exp(-scaled * torch.where(least > lower, least - lower, 0.0))
        least = lower
        sums += values.sub_(least[:, None]).mul_(-scaled).exp_().sum(dim=1, dtype=torch.float64)
    shift, norm = least.to(narrow.dtype), torch.log(sums).to(narrow.dtype)
    return SoftmaxWeights(patterns, kind, narrow, scaled, left_out, shift, norm)


def _values(patterns: Patterns, kind: Kind, points: Tensor, own: Tensor) -> Iterator[tuple[Tile, Tensor]]:
    """(m, P) D or D' of every tile, less what all patterns share."""
    width = max(1, TILE_NUMBERS[patterns.device.type] // max(1, len(points)))
    for start in range(0, len(patterns), width):
        tile = patterns.tile(start, start + width)
        added = tile.norms_sq if kind == "energy" else tile.norms_sq + tile.lifts
        yield tile, shifted_distances_sq(points, tile, added, own)
