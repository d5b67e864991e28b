"""Fig. 1: the landscapes of E and E_MCHN on the paper's two sets of three patterns, and where their minima are."""

from __future__ import annotations

import math
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np

from service.theory.energy import Array, Kind, smallest_curvature
from service.theory.energy_bounds import norm_spread
from service.theory.retrieval import attractors, retrieve

PATTERNS_2D: Array = np.array([(-2.0, -0.5), (0.2, -0.3), (1.5, 1.5)])
PATTERNS_1D: Array = np.array([[-2.0], [0.0], [1.0]])
Domain = tuple[float, float]
DOMAIN_2D, DOMAIN_1D = (-3.0, 2.5), (-3.0, 2.0)
LANDSCAPES: tuple[tuple[Kind, float], ...] = (("energy", 1.0), ("energy_mchn", 1.0), ("energy_mchn", 2.0))
_APART = 1e-4
_GRID = {1: 301, 2: 24}  # points a side, by the number of dimensions
_HALVINGS = 16
_COUNTED = {0: "none", 1: "one", 2: "two", 3: "three"}
_SETS = {"two_dimensions": "in two dimensions", "one_dimension": "on −2, 0, 1"}
_NAMES = {"energy": "E", "energy_mchn": "E_MCHN"}


def figure1_theory() -> dict[str, Any]:
    """The minima of each landscape, the smallest curvature on the plotted domain, and the constants of Props. 1-3."""
    found = deepcopy(_corrected())
    notes = [_convexity_note(found), _resemblance_note(found), *_merging_notes(found)]
    literal = {"mchn_convex": True, "landscapes_resemble": True}
    return {"paper_literal": literal, "corrected": found, "notes": notes}


def _convexity_note(found: dict[str, Any]) -> str:
    """A note on the energies with a negative curvature on each set."""
    said = []
    for name, place in _SETS.items():
        parts = found[name]["landscapes"]
        least = [f"{_landscape(part)} {part['smallest_curvature']:.4g}" for part in parts]
        convex = [_landscape(part) for part in parts if part["smallest_curvature"] >= 0]
        said.append(
            f"{place} {', '.join(least)}" + (f" (not shown not to be convex: {', '.join(convex)})" if convex else "")
        )
    return f"Section 4: E_MCHN is called convex; the smallest Hessian eigenvalues are {'; '.join(said)}."


def _resemblance_note(found: dict[str, Any]) -> str:
    """A note on the number of minima of each landscape, and on patterns without one near them."""
    said = []
    for name, place in _SETS.items():
        parts = found[name]["landscapes"]
        counts = [f"{_landscape(part)} {_COUNTED[len(part['minima'])]}" for part in parts]
        said.append(f"{place} {', '.join(counts)}")
    alike = all(len({len(part["minima"]) for part in found[name]["landscapes"]}) == 1 for name in _SETS)
    verdict = "the landscapes have as many attractors each" if alike else "the landscapes do not resemble each other"
    return f"Section 4: {verdict}; numbers of attractors: {'; '.join(said)}."


def _merging_notes(found: dict[str, Any]) -> list[str]:
    """Said where E has fewer minima than there are patterns."""
    one = found["one_dimension"]
    merged = len(one["patterns"]) - len(one["landscapes"][0]["minima"])
    note = "Eq. (4): E merges two patterns closer than √2 into one minimum, as 0 and 1, so that neither is retrieved."
    return [note] if merged else []


def _landscape(part: dict[str, Any]) -> str:
    name = _NAMES[part["energy"]]
    return name if part["energy"] == "energy" else f"{name} at β = {part['beta']:g}"


@cache
def _corrected() -> dict[str, Any]:
    """Constants, found once in a process: it takes a second."""
    sets = {"two_dimensions": (PATTERNS_2D, DOMAIN_2D), "one_dimension": (PATTERNS_1D, DOMAIN_1D)}
    return {name: _landscapes(patterns, domain) for name, (patterns, domain) in sets.items()}


def minima(patterns: Array, starts: Array, kind: Kind, beta: float) -> Array:
    """(m, n) minima that the retrieval leads to from some of the (s, n) starts, in order of the first coordinate.

    A start on a ridge may end on it: only points with a positive curvature count.
    """
    found = attractors(retrieve(patterns, starts, beta, kind).points, apart=_APART)
    stable = [smallest_curvature(patterns, point, beta, kind) > 0 for point in found]
    return found[stable]


def least_curvature(patterns: Array, domain: Domain, kind: Kind, beta: float) -> float:
    """Smallest `smallest_curvature` on the domain: of a grid, then of ever finer ones about the best point so far."""
    low, high = (np.full(patterns.shape[1], edge) for edge in domain)
    points, reach = _grid(domain, patterns.shape[1]), (high - low) / _GRID[patterns.shape[1]]
    best = np.inf
    for _ in range(_HALVINGS):
        curvatures = [smallest_curvature(patterns, point, beta, kind) for point in points]
        best = min(best, *curvatures)
        centre = points[np.argmin(curvatures)]
        points = np.clip(centre + reach * _grid((-2.0, 2.0), len(reach), side=9), low, high)
        reach = reach / 2
    return best


def _landscapes(patterns: Array, domain: Domain) -> dict[str, Any]:
    found, starts = [], _grid(domain, patterns.shape[1])
    for kind, beta in LANDSCAPES:
        curvature = least_curvature(patterns, domain, kind, beta)
        ends = minima(patterns, starts, kind, beta)
        found.append({"energy": kind, "beta": beta, "minima": ends.tolist(), "smallest_curvature": curvature})
    constants = {"spread": norm_spread(patterns), "log_patterns": math.log(len(patterns))}
    return {"patterns": patterns.tolist(), "landscapes": found} | constants


def _grid(domain: Domain, dimensions: int, side: int | None = None) -> Array:
    line = np.linspace(*domain, side or _GRID[dimensions])
    return np.stack(np.meshgrid(*[line] * dimensions), axis=-1).reshape(-1, dimensions)
