"""Fields of an energy report, from energies: arrays in, contracts out, no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

import numpy as np
from scipy.special import logsumexp

from service.contracts.energy import EnergyBounds
from service.contracts.energy_report import (
    BasinTest,
    Curvature,
    EnergiesAt,
    GlobalCorrected,
    GlobalEnergies,
    GlobalLiteral,
    Spread,
    Storage,
)
from service.contracts.radius import QUANTILES, Distribution, Histogram
from service.errors import InvalidInput, RadiusError
from service.theory.ball_bounds import printed_log_ball_integrals
from service.theory.energy_bounds import bounds_theory, energy_bounds
from service.theory.energy_global import (
    GAP_NOTE,
    LAYER_ENERGY_NOTE,
    STRICT_NOTE,
    energy_global,
    global_bounds,
    printed_energy_global,
    printed_log_layer_energy,
)
from service.theory.histograms import gap_edges, histogram_counts, histogram_edges
from service.theory.partition import partition_of_radii
from service.theory.storage import certified_radii
from workers.energy.curvature import Curvatures
from workers.energy.query_block import Energies
from workers.energy.retrieval import Basins
from workers.neighbors.statistics import summarise

Array = np.ndarray
_BINS = 60
_ULPS = 8  # of g: E and g are rounded separately
_ROUNDING = 1e-6  # relative, of energies from float32 products; far above what is seen


def distribution(values: Array) -> Distribution:
    """Summary of a non-empty (m,) array."""
    return Distribution(**asdict(summarise(values, QUANTILES)))


def spread(values: Array) -> Spread:
    """Summary and histogram of a non-empty (m,) array."""
    edges = histogram_edges([values], _BINS)
    histogram = Histogram(edges=edges.tolist(), counts=histogram_counts(values, edges))
    return Spread(distribution=distribution(values), histogram=histogram)


def energies_at(found: Energies, betas: Sequence[float]) -> list[EnergiesAt]:
    """Both energies at the requested inverse temperatures."""
    return [
        EnergiesAt(
            beta=beta,
            energy=spread(found.energy[at]),
            energy_mchn=spread(found.energy_mchn[at]),
            rounding=float(found.error[at].max()),
            beta_energy_minus_g=_beta_energy_minus_g(found, at),
        )
        for at, beta in enumerate(found.betas)
        if beta in betas
    ]


def _beta_energy_minus_g(found: Energies, at: int) -> Spread:
    """β (E − g) at one β, by Prop. 1 within [−log d, 0]; a difference that rounding of g explains counts as 0."""
    beta, log_d = found.betas[at], math.log(found.patterns[0])
    gaps = found.energy[at] - found.g
    gaps[np.abs(gaps) <= _ULPS * np.spacing(found.g)] = 0.0
    values = np.clip(beta * gaps, -log_d, 0.0)
    edges = gap_edges(log_d, _BINS)
    histogram = Histogram(edges=edges.tolist(), counts=histogram_counts(values, edges))
    return Spread(distribution=distribution(values), histogram=histogram)


def bounds_report(found: Energies) -> EnergyBounds:
    """Check every point against Props. 1–3; `found` must hold β = 1 and β = 2.

    Raises:
        RadiusError: g − log d ≤ E ≤ g fails somewhere: a theorem, so the numbers cannot be right.
    """
    energy, mchn = found.energy[found.betas.index(1.0)], found.energy_mchn[found.betas.index(2.0)]
    held = energy_bounds(found.g, energy, mchn, int(found.patterns[0]), float(found.spread.max()), rounding=_ROUNDING)
    if held.proposition_1.failed_share > 0:
        raise RadiusError("g − log d ≤ E ≤ g fails; the device does not compute correctly")
    return EnergyBounds.model_validate(bounds_theory(held))


def curvature_report(kind: str, beta: float, where: str, found: Curvatures) -> Curvature:
    """Summary of the smallest Hessian eigenvalues at some points."""
    values, least = found.values, int(found.values.argmin())
    about = {"kind": kind, "beta": beta, "where": where, "points": len(values)}
    numbers = {
        "min": float(values[least]),
        "median": float(np.median(values)),
        "rounding": float(found.rounding[least]),
    }
    negative = float((values + found.rounding < 0).mean())
    return Curvature.model_validate(about | numbers | {"negative_share": negative})


def storage_report(nn_distances: Array) -> Storage:
    """The certificate, from the distance of every pattern to its nearest other one."""
    radii = certified_radii(nn_distances, len(nn_distances))
    proved = radii > 0
    ratio = radii[proved] / (nn_distances[proved] / 2)
    return Storage(
        patterns=len(radii),
        certified_share=float(proved.mean()),
        radius=distribution(radii[proved]) if proved.any() else None,
        share_of_half_distance=float(ratio.mean()) if proved.any() else None,
    )


def basin_report(basins: Basins) -> BasinTest:
    """The test of Definition 1."""
    return BasinTest(
        patterns=basins.patterns, stored_share=basins.stored, fractions=basins.fractions, **basins.returned
    )


def global_report(nearest_sq: Sequence[Array], radii: Sequence[Array], dimension: int) -> GlobalEnergies:
    """Eqs. (7) to (10) from each layer's (q,) g and (d_t,) radii of its patterns."""
    layers = len(nearest_sq)
    stacked = np.stack(nearest_sq)
    found = energy_global(stacked)
    held = global_bounds(found, layers)
    counts = np.bincount(found.layer, minlength=layers)
    return GlobalEnergies(
        layers=layers,
        log_layers=held["log_layers"],
        paper_literal=_printed_global(stacked, [_printed_log_partition(dimension, part) for part in radii]),
        corrected=GlobalCorrected(
            log_partitions=[_log_partition(dimension, part) for part in radii],
            energy_global=spread(found.energy),
            gap_min=held["gap_min"],
            gap_max=held["gap_max"],
            failed_share=held["failed_share"],
            layer_share=(counts / counts.sum()).tolist(),
        ),
        notes=[LAYER_ENERGY_NOTE, STRICT_NOTE, GAP_NOTE],
    )


def _log_partition(dimension: int, radii: Array) -> float | None:
    """log Z_t; None where all radii are 0, or one is too small or too large for (12)."""
    with suppress(InvalidInput):
        return partition_of_radii(dimension, radii).log_partition
    return None


def _printed_log_partition(dimension: int, radii: Array) -> float | None:
    """The same by the printed (12)."""
    with suppress(InvalidInput):
        return np.asarray(logsumexp(printed_log_ball_integrals(dimension, radii))).item() if radii.any() else None
    return None


def _printed_global(nearest_sq: Array, log_partitions: list[float | None]) -> GlobalLiteral:
    logs = [
        None if log_z is None else printed_log_layer_energy(g, log_z)
        for g, log_z in zip(nearest_sq, log_partitions, strict=True)
    ]
    known = [part for part in logs if part is not None]
    energies = printed_energy_global(np.stack(known)) if len(known) == len(logs) else np.array([np.inf])
    finite = np.isfinite(energies)
    return GlobalLiteral(
        log_partitions=log_partitions,
        log_layer_energy=[None if part is None else distribution(part) for part in logs],
        energy_global=distribution(energies) if finite.all() else None,
        overflowing_share=float((~finite).mean()),
    )
