"""The energies as a function of arrays, for use without a service."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.arrays import Points, float_rows
from workers.devices.device import choose_device, set_precise_float32
from workers.energy.evaluation import evaluate
from workers.energy.patterns import prepare_patterns
from workers.neighbors.stored import StoredRows

Array = np.ndarray


@dataclass(frozen=True)
class PointEnergies:
    """The energies at q points, in their order.

    Attributes:
        g: (q,) float64 squared distance to the nearest pattern, eq. (3).
        energy: (q,) float64 E_β; eq. (4) is β = 1.
        energy_mchn: (q,) float64 E_MCHN^β of section 4, with its constants.
        nearest: (q,) int64 the nearest pattern, the lowest index among equals.
        rounding: (q,) float64 bound on the rounding of `energy`, beyond that of direct float64 sums.
    """

    g: Array
    energy: Array
    energy_mchn: Array
    nearest: Array
    rounding: Array


def energies(x: Points, patterns: Points, beta: float = 1.0, *, device: str = "auto") -> PointEnergies:
    """g, E and E_MCHN at every point among the patterns, in the order of the points.

        E_β(x) = −β⁻¹ log Σ_i exp(−β ‖x − ρ_i‖²),    g − log d / β ≤ E_β ≤ g

    A point equal to a pattern is not excluded: its g is 0.

    >>> import numpy as np
    >>> from workers.energy import energies
    >>> found = energies(np.array([[0.5]]), np.array([[-2.0], [0.0], [1.0]]), beta=2.0)
    >>> found.g.tolist(), round(float(found.energy[0]), 6)
    ([0.25], -0.096575)

    Args:
        x: (q, n) points; arrays, nested sequences or torch tensors, as `nearest_neighbors` takes them.
        patterns: (d, n) stored patterns.
        beta: inverse temperature, for E and E_MCHN alike.
        device: `auto`, `cpu` or `cuda:N`. On a GPU the precision settings of torch are set to exact float32.

    Raises:
        InvalidInput: not rows of numbers, β or the dimensions are wrong, or a double does not hold a square.
        NonFiniteData: naming a point or a pattern that is not finite, or too far away.
    """
    chosen = choose_device(device)
    if chosen.type == "cuda":
        set_precise_float32()
    stored = prepare_patterns(StoredRows(float_rows(patterns, "patterns")), device=chosen)
    found = evaluate(stored, StoredRows(float_rows(x, "x")), [beta])
    return PointEnergies(found.g, found.energy[0], found.energy_mchn[0], found.ids[:, 0], found.error[0])
