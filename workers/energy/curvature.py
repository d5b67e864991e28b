"""The smallest Hessian eigenvalues of E and E_MCHN at many points, with bounds on their rounding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.theory.energy import Kind
from workers.devices.seeding import Purpose, torch_seed
from workers.energy.patterns import Patterns
from workers.energy.weights import SoftmaxWeights, Weighed, softmax_weights

Array = np.ndarray


@dataclass(frozen=True)
class Curvatures:
    """(m,) smallest Hessian eigenvalues as computed, and how far the true ones may lie above them by rounding.

    They come from power iteration, which approaches the largest eigenvalue of the covariance from below: apart from
    rounding the true eigenvalue is at most the one found, so `values + rounding` < 0 proves that an energy is not
    convex there, while no value proves that it is.
    """

    values: Array
    rounding: Array


def curvatures(
    patterns: Patterns,
    points: Array,
    beta: float,
    kind: Kind,
    *,
    own: Array | None = None,
    sweeps: int = 32,
    seed: int = 0,
) -> Curvatures:
    """Smallest Hessian eigenvalues: 2 − 4β λ for E, 1 − β λ for E_MCHN, λ the largest of Cov_p(ρ).

    The direction v of λ is found in the precision of the patterns, among those that weigh most; its quotient
    vᵀ Cov_p v is computed in float64 over all of them.

    Rounding: the values D or D' of the weights are in error by ε at most, so that each p is by a factor from e^{−2bε}
    to e^{2bε} (b is β, of E_MCHN β/2) and, as Cov_p = ½ Σ_ij p_i p_j (ρ_i − ρ_j)(ρ_i − ρ_j)ᵀ, λ is by one from e^{−4bε}
    to e^{4bε}. The quotient vᵀ Cov_p v, a sum over N patterns in n dimensions, is in error by 8γ (R + M)² at most with
    γ of n + N terms, R the largest norm of a pattern and M that of the mean about the centre. Weights that sum to 1 and
    a v of norm 1 but for rounding change it by a factor of 1 − 8γ at least. So

        λ ≥ e^{−4bε} (1 − 8γ) (quotient − 8γ (R + M)²).

    Args:
        points: (m, n).
        own: (m,) id of the pattern that is left out for each point, or −1.
    """
    placed, left_out = patterns.place(points), None if own is None else torch.from_numpy(own)
    vectors = _principal_directions(softmax_weights(patterns, placed, beta, kind, left_out), sweeps, seed)
    wide = patterns if patterns.precision == torch.float64 else patterns.widened
    weights = softmax_weights(wide, placed, beta, kind, left_out)
    mean = weights.mean()
    largest = (vectors * _apply_covariance(weights.tiles(), mean, vectors)).sum(dim=1)
    spread, sure = largest.cpu().numpy(), _surely(weights, mean, largest).cpu().numpy()
    slope = (4 if kind == "energy" else 1) * beta / patterns.scale**2
    return Curvatures((2 if kind == "energy" else 1) - slope * spread, slope * (spread - sure))


def _principal_directions(weights: SoftmaxWeights, sweeps: int, seed: int) -> Tensor:
    """(m, n) float64 unit vectors along which the covariance of each point's weights is largest, by power iteration."""
    mean, heaviest = weights.mean(), weights.heaviest()
    generator = torch.Generator().manual_seed(torch_seed(seed, Purpose.START_VECTORS))
    vectors = torch.randn(mean.shape, generator=generator, dtype=torch.float64).to(mean.device)
    vectors = _normalised(vectors)
    largest = torch.zeros(len(mean), dtype=torch.float64, device=mean.device)
    for _ in range(sweeps):
        moved = _apply_covariance(weights.tiles() if heaviest is None else [heaviest], mean, vectors)
        before, largest = largest, (vectors * moved).sum(dim=1)
        if not bool(moved.any()):  # all weight is on one pattern, and every direction is as good
            break
        vectors = _normalised(torch.where(moved.any(dim=1, keepdim=True), moved, vectors))
        if bool(((largest - before).abs() <= 1e-9 * largest + 1e-300).all()):
            break
    return vectors


def _normalised(vectors: Tensor) -> Tensor:
    """(m, n) rows over their norms, by their largest elements first: their squares may underflow."""
    scaled = vectors / vectors.abs().amax(dim=1, keepdim=True)
    return scaled / torch.linalg.vector_norm(scaled, dim=1, keepdim=True)


def _surely(weights: SoftmaxWeights, mean: Tensor, largest: Tensor) -> Tensor:
    """(m,) what λ is at least, whatever rounding did; see `curvatures`."""
    patterns = weights.patterns
    terms = (patterns.rows.d + len(patterns) + 24) * patterns.unit
    gamma, longest = 1.01 * terms / (1 - terms), float(patterns.norms_sq.max()) ** 0.5
    of_values = (
        patterns.gamma * (torch.linalg.vector_norm(weights.points, dim=1) + longest).square() + patterns.absolute
    )
    if weights.kind == "energy_mchn":
        of_values = of_values + 4 * patterns.unit * float(patterns.lifts.max())
    of_quotient = 8 * gamma * (longest + torch.linalg.vector_norm(mean, dim=1)).square()
    least = torch.exp(-4 * weights.beta * of_values) * (1 - 8 * gamma) * (largest - of_quotient)
    return least.clamp(min=0.0).minimum(largest)


def _apply_covariance(tiles: Iterable[Weighed], mean: Tensor, vectors: Tensor) -> Tensor:
    """(m, n) float64 Cov_p v = Σ p_i (ρ_i − μ) ((ρ_i − μ)·v) for each point's own p, μ and v."""
    total = torch.zeros_like(mean)
    for rows, weights in tiles:
        narrow = vectors.to(rows.dtype)
        along = weights * (narrow @ rows.T - (mean * vectors).sum(dim=1, keepdim=True).to(rows.dtype))
        total += (along @ rows - along.sum(dim=1, keepdim=True) * mean.to(rows.dtype)).double()
    return total
