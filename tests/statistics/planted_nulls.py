"""Data without structure beyond a null model, drawn again and again: how often 1 lies in the ratio's interval.

python -m tests.statistics.planted_nulls [REPETITIONS]    prints the table of all designs
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.statistics.sets import nearest_of
from workers.statistics.mean_and_median import mean_estimate
from workers.statistics.null_distances import NullDraws, NullRows, null_distances
from workers.statistics.null_models import EllipticalRows, GaussianRows, NullModel, PermutedCoordinates

Array = np.ndarray
Fit = Callable[[Array], NullModel]


@dataclass(frozen=True)
class Structureless:
    """Rows of a distribution that a null model describes wholly."""

    name: str
    fit: Fit
    draw: Callable[[np.random.Generator], Array]


def _low_rank(rng: np.random.Generator) -> Array:
    axes = np.random.default_rng(1).standard_normal((8, 48))
    return rng.standard_normal((400, 8)) @ axes + 0.3 * rng.standard_normal((400, 48))


def _lognormal(rng: np.random.Generator) -> Array:
    return rng.standard_normal((400, 32)) * np.linspace(1, 4, 32) * rng.lognormal(0, 0.5, (400, 1))


DESIGNS = (
    Structureless("gaussian, 300 × 64", GaussianRows.of, lambda rng: rng.standard_normal((300, 64))),
    Structureless(
        "gaussian, unequal axes", GaussianRows.of, lambda rng: rng.standard_normal((300, 64)) * np.linspace(1, 6, 64)
    ),
    Structureless("gaussian, low rank and noise", GaussianRows.of, _low_rank),
    Structureless("gaussian, n < d", GaussianRows.of, lambda rng: rng.standard_normal((100, 256))),
    Structureless("permutation, normal", PermutedCoordinates, lambda rng: rng.standard_normal((300, 64))),
    Structureless("permutation, t₃", PermutedCoordinates, lambda rng: rng.standard_t(3, (300, 32))),
    Structureless("elliptical, lognormal radii", EllipticalRows.of, _lognormal),
)


def ratios(design: Structureless, repetitions: int) -> tuple[Array, Array]:
    """(r,) observed over null over its bias, and (r,) whether 1 lies in its interval."""
    values, inside = np.empty(repetitions), np.empty(repetitions, dtype=bool)
    for seed in range(repetitions):
        rows = design.draw(np.random.default_rng(seed))
        found = null_distances(NullRows(design.fit(rows)), None, NullDraws(4, len(rows), seed, 0))
        ratio = found.unbiased_ratio(mean_estimate(*nearest_of(rows)))
        assert ratio.value is not None
        assert ratio.interval is not None
        values[seed], inside[seed] = ratio.value, ratio.interval[0] < 1 < ratio.interval[1]
    return values, inside


def main(repetitions: int) -> None:
    """Print how often 1 is covered, and the mean ratio."""
    for design in DESIGNS:
        values, inside = ratios(design, repetitions)
        print(f"{design.name:30} {inside.mean():6.1%} {values.mean():7.4f} ± {values.std(ddof=1):.4f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
