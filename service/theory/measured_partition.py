"""Eqs. (12) to (14) and Prop. 4 with the radii that were measured, instead of one "typical" radius for all balls."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.theory.ball_bounds import PRINTED_INTEGRAL_NOTE
from service.theory.balls import asymptotic_unit_radius, unit_volume_radius
from service.theory.disjoint_balls import DisjointBalls, disjoint_balls
from service.theory.loss import TWO_ENERGIES_NOTE, UNITS_NOTE, proposition_4_loss
from service.theory.partition import CELL_NOTE, SHARE_NOTE, partition_of_radii_theory

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DISJOINT_NOTE = (
    "Eq. (13): open balls of radius r_i = NN_i/2 are disjoint, as ‖ρ_i − ρ_j‖ ≥ max(NN_i, NN_j) ≥ r_i + r_j; the "
    "closed balls of Definition 1 touch at the closest pair, so Assumption 3 needs r_i < NN_i/2."
)
_INCOMPLETE_NOTE = (
    "Eq. (13): not every pair of rows was searched, so nearer rows than those found may exist, and balls of radius "
    "NN_i/2 may overlap unseen."
)


def measured_partition(n: int, distances: Floats, neighbors: Integers, *, complete: bool) -> dict[str, Any]:
    """Z of balls of radius r_i = NN_i/2 around patterns in n dimensions, and whether these balls are disjoint.

    Rows that have no neighbour are left out; a radius of 0, which a duplicate has, counts as a ball and adds nothing.

    Args:
        distances, neighbors, complete: as `disjoint_balls`.

    Raises:
        InvalidInput: no row has a neighbour, all radii are 0, or n or a radius is out of range.
    """
    nearest = distances[:, 0]
    radii = nearest[np.isfinite(nearest)] / 2
    theory = partition_of_radii_theory(n, radii)
    gap, disjoint = volume_gap(n, radii), disjoint_balls(n, distances, neighbors, complete=complete)
    return {
        "n": n,
        "balls": len(radii),
        "paper_literal": _with_proposition_4(theory["paper_literal"]["log_partition"]),
        "corrected": _corrected(theory["corrected"]),
        "disjoint": asdict(disjoint),
        "volume_gap": gap,
        "notes": _notes(n, gap, disjoint, complete),
    }


def volume_gap(n: int, radii: Floats) -> dict[str, Any]:
    """n·log(r/r₀) = log(V_n(r)/V_n(r₀)) in nats, of the mean and the median radius, shape (m,); one must be positive.

    r₀ is the paper's √(n/2πe), and the exact radius of volume 1, against which the gap is log V_n(r).
    """
    mean, median = float(radii.mean()), float(np.median(radii))
    return {
        "mean_radius": mean,
        "median_radius": median,
        "paper_literal": _gap_to(asymptotic_unit_radius(n), n, mean, median),
        "corrected": _gap_to(unit_volume_radius(n), n, mean, median),
    }


def _gap_to(unit: float, n: int, mean: float, median: float) -> dict[str, Any]:
    gaps = [n * math.log(r / unit) if r > 0 else None for r in (mean, median)]
    return {"unit_radius": unit, "at_mean_radius": gaps[0], "at_median_radius": gaps[1]}


def _with_proposition_4(log_partition: float) -> dict[str, Any]:
    return {"log_partition": log_partition} | asdict(proposition_4_loss(log_partition))


def _corrected(partition: dict[str, Any]) -> dict[str, Any]:
    log_partition = partition["log_partition"]
    by_formula = proposition_4_loss(log_partition)
    return partition | {
        "proposition_4_loss": by_formula.loss,
        "proposition_4_log_loss": by_formula.log_loss,
        "loss": log_partition,
    }


def _notes(n: int, gap: dict[str, Any], disjoint: DisjointBalls, complete: bool) -> list[str]:
    literal = gap["paper_literal"]
    of_volume = (
        f"Appendix F.1: volumes compare as r^n, so at n = {n} the mean radius {gap['mean_radius']:.6g} against "
        f"√(n/2πe) = {literal['unit_radius']:.6g} is a factor e^{{{literal['at_mean_radius']:.1f}}} in volume."
    )
    overlapping = disjoint.overlapping_at_mean_radius
    what = (
        f"those of {overlapping:.1%} of the rows overlap another, and Assumption 3 fails for them."
        if overlapping
        else "no row's nearest neighbour is so near that its ball overlaps another."
    )
    at_one_radius = f"Appendix F.1: with the mean radius for all balls, {what}"
    notes = [PRINTED_INTEGRAL_NOTE, CELL_NOTE, SHARE_NOTE, TWO_ENERGIES_NOTE, UNITS_NOTE, of_volume, _DISJOINT_NOTE]
    return [*notes, at_one_radius] if complete else [*notes, at_one_radius, _INCOMPLETE_NOTE]
