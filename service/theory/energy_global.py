"""The energy of all layers, eqs. (7) to (10), for layer energies E_t given as an (l, q) array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from service.theory.energy import Array

LAYER_ENERGY_NOTE = (
    "Eq. (6): E_t = exp(−g_t)/Z_t as printed is a density, largest at the patterns, so that minimising it leads away "
    "from them; with E_t = g_t the step leads to them, and (7) to (10) hold as they stand."
)
STRICT_NOTE = "Eq. (8): E_global < min E_t is strict only for two layers or more."
GAP_NOTE = "Eq. (10): the layer t and c(x) depend on x; c is continuous but not smooth, and its range is measured here."


@dataclass(frozen=True)
class GlobalEnergy:
    """E_global and its bounds, (q,) each.

    Attributes:
        energy: eq. (7).
        least: min_t E_t.
        layer: the first layer that attains it.
        gap: c(x) of eq. (10) = E_global − min_t E_t + log l, in [0, log l).
    """

    energy: Array
    least: Array
    layer: np.ndarray
    gap: Array


def energy_global(layer_energies: Array) -> GlobalEnergy:
    """E_global(x) = −log Σ_t exp(−E_t(x)), eq. (7), of (l, q) layer energies; each may be +inf, but not all."""
    energies = np.asarray(layer_energies, dtype=np.float64)
    least = energies.min(axis=0)
    below = np.asarray(logsumexp(-(energies - least), axis=0))  # from 0 to log l
    return GlobalEnergy(least - below, least, energies.argmin(axis=0), np.log(len(energies)) - below)


def printed_log_layer_energy(nearest_sq: Array, log_partition: float) -> Array:
    """log E_t(x) = −g_t(x) − log Z_t of E_t = exp(−g_t)/Z_t as printed, which itself overflows a double."""
    return -np.asarray(nearest_sq, dtype=np.float64) - log_partition


def printed_energy_global(log_layer_energies: Array) -> Array:
    """E_global, eq. (7), of (l, q) log E_t; +inf where every E_t overflows a double."""
    with np.errstate(over="ignore"):
        energies = np.exp(log_layer_energies)
    finite = np.isfinite(energies).any(axis=0)
    found = np.full(energies.shape[1], np.inf)
    if finite.any():
        found[finite] = energy_global(energies[:, finite]).energy
    return found


def global_bounds(found: GlobalEnergy, layers: int) -> dict[str, Any]:
    """Eqs. (8) and (10) checked on E_global: the range of c(x), and the share of points outside [0, log l]."""
    slack = 1e-12 * (1 + np.abs(found.least))
    outside = (found.gap < -slack) | (found.gap > np.log(layers) + slack)
    return {
        "log_layers": float(np.log(layers)),
        "gap_min": float(found.gap.min()),
        "gap_max": float(found.gap.max()),
        "failed_share": float(outside.mean()),
    }
