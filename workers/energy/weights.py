"""Softmax weights of many points over all patterns, tile by tile, for retrieval and curvature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.theory.energy import Kind
from workers.energy.patterns import TILE_NUMBERS, Patterns, Tile, beta_in_range, shifted_distances_sq

Array = np.ndarray


@dataclass(frozen=True)
class SoftmaxWeights:
    """p = softmax(−β D) for E, softmax(−½ β D') for E_MCHN, at m points.

    Attributes:
        points: (m, n) centred and scaled, in the precision of the products.
        beta: in the scale of the patterns; halved for E_MCHN.
        own: (m,) id of the pattern that is left out for each point, −1 for none.
        least: (m,) smallest value; `log_sums`: of exp(−β (v − least)).
    """

    patterns: Patterns
    kind: Kind
    points: Tensor
    beta: float
    own: Tensor
    least: Tensor
    log_sums: Tensor

    def tiles(self) -> Iterator[tuple[Tile, Tensor]]:
        """Every tile with its (m, P) weights; over all tiles a point's weights sum to 1."""
        for tile, values in _values(self.patterns, self.kind, self.points, self.own):
            values.sub_(self.least[:, None]).mul_(-self.beta).sub_(self.log_sums[:, None])
            yield tile, values.exp_()

    def mean(self) -> Tensor:
        """(m, n) float64 Σ_i p_i ρ_i, centred and scaled: one retrieval step."""
        total = torch.zeros(self.points.shape, dtype=torch.float64, device=self.points.device)
        for tile, weights in self.tiles():
            total += (weights @ tile.rows).double()
        return total


def softmax_weights(
    patterns: Patterns, points: Tensor, beta: float, kind: Kind, own: Tensor | None = None
) -> SoftmaxWeights:
    """The weights at (m, n) centred, scaled float64 `points`; one pass for their normalisation."""
    narrow = points.to(patterns.device, patterns.precision)
    left_out = torch.full((len(points),), -1) if own is None else own
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


def curvatures(
    patterns: Patterns,
    points: Array,
    beta: float,
    kind: Kind,
    *,
    own: Array | None = None,
    sweeps: int = 32,
    seed: int = 0,
) -> Array:
    """(m,) float64 smallest Hessian eigenvalues: 2 − 4β λ for E, 1 − β λ for E_MCHN, λ the largest of Cov_p(ρ).

    By power iteration, which approaches λ from below: the true eigenvalue is at most the one returned, so a negative
    one proves that the energy is not convex there.

    Args:
        points: (m, n).
        own: (m,) id of the pattern that is left out for each point, or −1.
    """
    placed = patterns.place(points)
    weights = softmax_weights(patterns, placed, beta, kind, None if own is None else torch.from_numpy(own))
    mean = weights.mean()
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(placed.shape, generator=generator, dtype=torch.float64).to(mean.device)
    largest = torch.zeros(len(placed), dtype=torch.float64, device=mean.device)
    for _ in range(sweeps):
        vectors /= torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp(min=1e-300)
        moved = _apply_covariance(weights, mean, vectors)
        before, largest = largest, (vectors * moved).sum(dim=1)
        vectors = moved
        if bool(((largest - before).abs() <= 1e-9 * largest + 1e-300).all()):
            break
    spread = largest.cpu().numpy() / patterns.scale**2
    return 2 - 4 * beta * spread if kind == "energy" else 1 - beta * spread


def _apply_covariance(weights: SoftmaxWeights, mean: Tensor, vectors: Tensor) -> Tensor:
    """(m, n) Cov_p v = Σ p_i (ρ_i − μ) ((ρ_i − μ)·v) for each point's own p, μ and v."""
    narrow = vectors.to(weights.points.dtype)
    offsets = (mean * vectors).sum(dim=1).to(narrow.dtype)
    total = torch.zeros_like(mean)
    for tile, shares in weights.tiles():
        along = shares * (narrow @ tile.rows.T - offsets[:, None])
        total += (along @ tile.rows - along.sum(dim=1, keepdim=True) * mean.to(narrow.dtype)).double()
    return total
