"""Fig. 1: the landscapes of E and E_MCHN on the paper's two sets of three patterns, and where their minima are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.theory.energy import Array, Kind, smallest_curvature
from service.theory.energy_bounds import norm_spread
from service.theory.retrieval import attractors, retrieve

PATTERNS_2D: Array = np.array([(-2.0, -0.5), (0.2, -0.3), (1.5, 1.5)])
PATTERNS_1D: Array = np.array([[-2.0], [0.0], [1.0]])
DOMAIN_2D, DOMAIN_1D = (-3.0, 2.5), (-3.0, 2.0)
LANDSCAPES: tuple[tuple[Kind, float], ...] = (("energy", 1.0), ("energy_mchn", 1.0), ("energy_mchn", 2.0))
_APART = 1e-4
_NOTES = [
    "Section 4: E_MCHN is called convex, but its Hessian I − β Cov has negative eigenvalues on both sets.",
    "Section 4: the landscapes do not resemble each other; in two dimensions E has three attractors and E_MCHN two, "
    "without the pattern (0.2, −0.3), and on −2, 0, 1 E has two minima and E_MCHN one at β = 1 and two at β = 2.",
    "Eq. (4): E merges two patterns closer than √2 into one minimum, as 0 and 1, so that neither of them is retrieved.",
]


def figure1_theory() -> dict[str, Any]:
    """The minima of each landscape, the smallest curvature on the plotted domain, and the constants of Props. 1-3."""
    sets = {"two_dimensions": (PATTERNS_2D, _grid(DOMAIN_2D, 2)), "one_dimension": (PATTERNS_1D, _grid(DOMAIN_1D, 1))}
    return {
        "paper_literal": {"mchn_convex": True, "landscapes_resemble": True},
        "corrected": {name: _landscapes(patterns, points) for name, (patterns, points) in sets.items()},
        "notes": _NOTES,
    }


def minima(patterns: Array, starts: Array, kind: Kind, beta: float) -> Array:
    """(m, n) minima that the retrieval leads to from some of the (s, n) starts, in order of the first coordinate.

    A start on a ridge may end on it: only points with a positive curvature count.
    """
    found = attractors(retrieve(patterns, starts, beta, kind).points, apart=_APART)
    stable = [smallest_curvature(patterns, point, beta, kind) > 0 for point in found]
    return found[stable]


def _landscapes(patterns: Array, points: Array) -> dict[str, Any]:
    found = []
    for kind, beta in LANDSCAPES:
        curvature = min(smallest_curvature(patterns, point, beta, kind) for point in points)
        ends = minima(patterns, points, kind, beta)
        found.append({"energy": kind, "beta": beta, "minima": ends.tolist(), "smallest_curvature": curvature})
    constants = {"spread": norm_spread(patterns), "log_patterns": math.log(len(patterns))}
    return {"patterns": patterns.tolist(), "landscapes": found} | constants


def _grid(domain: tuple[float, float], dimensions: int) -> Array:
    """Points of the domain, off its lines of symmetry."""
    line = np.linspace(*domain, 301 if dimensions == 1 else 24)
    return np.stack(np.meshgrid(*[line] * dimensions), axis=-1).reshape(-1, dimensions)
