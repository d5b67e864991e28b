"""The energy report: energies of points among the patterns of one or more activation sets."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.contracts.base import Contract, Identifier, Notice
from service.contracts.descent_report import DescentReport
from service.contracts.energy import EnergyBounds
from service.contracts.figure1 import Figure1Theory
from service.contracts.radius import Distribution, Histogram


class Spread(Contract):
    """A distribution and its histogram."""

    distribution: Distribution
    histogram: Histogram


class EnergiesAt(Contract):
    """Both energies at one inverse temperature."""

    beta: float
    energy: Spread
    energy_mchn: Spread
    rounding: float = Field(description="bound on what rounding changed in any of the values of `energy`")
    beta_energy_minus_g: Spread | None = Field(
        default=None,
        description="β (E − g), in equal bins from −log d to 0, the range that Prop. 1 allows; 0 where rounding of g "
        "exceeds it; null in reports of older versions",
    )


class Curvature(Contract):
    """Smallest eigenvalue of a Hessian at some points; below 0 an energy is not convex there."""

    kind: Literal["energy", "energy_mchn"]
    beta: float
    where: Literal["rows", "midpoints"] = Field(description="query rows, or points half-way to their nearest pattern")
    points: int
    min: float
    median: float
    rounding: float = Field(default=0.0, description="how far the eigenvalue may lie above `min` by rounding")
    negative_share: float = Field(description="share of points where it is below 0 by more than rounding")


class Storage(Contract):
    """Definition 1: balls that provably attract, of radius below half the nearest-neighbour distance."""

    patterns: int
    certified_share: float = Field(description="share of patterns with a ball that provably attracts (β = 1)")
    radius: Distribution | None = Field(description="of those balls; null when there are none")
    share_of_half_distance: float | None = Field(description="mean of that radius over half the distance")


class BasinTest(Contract):
    """Share of starts, at fractions of half the nearest-neighbour distance, that return to their pattern (β = 1)."""

    patterns: int
    stored_share: float = Field(description="share of patterns whose own fixed point lies in the ball")
    fractions: list[float]
    random: list[float] = Field(description="in a random direction")
    towards_nearest: list[float] = Field(description="straight towards the nearest other pattern")


class LayerEnergies(Contract):
    """Energies of the points among the patterns of one set.

    `failed_share` of Prop. 1 is checked on every point; it is 0.
    """

    activations: Identifier | None
    site: str | None
    name: str
    n: int
    d_model: int
    patterns: int = Field(
        description="patterns that each point is compared with: one less where its own row is excluded"
    )
    left_out: Literal["self"] | None
    g: Spread
    energies: list[EnergiesAt]
    bounds: EnergyBounds
    curvature: list[Curvature]
    storage: Storage | None
    basins: BasinTest | None


class GlobalLiteral(Contract):
    """E_global with E_t = exp(−g_t)/Z_t as printed."""

    log_partitions: list[float | None] = Field(
        description="log Z_t of each layer by the printed (12) and (13); null where no radius is above 0, or one is "
        "outside 1e-150 to 1e150"
    )
    log_layer_energy: list[Distribution | None] = Field(description="log E_t = −g_t − log Z_t, by layer")
    energy_global: Distribution | None = Field(description="null where it overflows a double at some point")
    overflowing_share: float


class GlobalCorrected(Contract):
    """E_global with E_t = g_t."""

    log_partitions: list[float | None] = Field(description="log Z_t of each layer from its measured radii")
    energy_global: Spread
    gap_min: float = Field(description="least c(x) of eq. (10)")
    gap_max: float
    failed_share: float = Field(description="share of points where (8) or 0 ≤ c(x) ≤ log l fails")
    layer_share: list[float] = Field(description="by layer: share of points at which its E_t is the least")


class GlobalEnergies(Contract):
    """Eqs. (7) to (10) over the layers."""

    layers: int
    log_layers: float
    paper_literal: GlobalLiteral
    corrected: GlobalCorrected
    notes: list[str]


class EnergyReport(Contract):
    """The result of an energy job."""

    id: Identifier
    job: str
    activations: list[Identifier]
    queries: Identifier | None
    name: str
    d_model: int
    points: int = Field(description="number of query rows")
    layers: list[LayerEnergies]
    energy_global: GlobalEnergies | None = Field(description="null for one set")
    descent: DescentReport | None = Field(description="null unless the sets are layers over the same chunks")
    descent_reason: str | None = Field(default=None, description="why layers over the same chunks have no descent")
    figure1: Figure1Theory | None = Field(default=None, description="for the built-in figure1: the minima of Fig. 1")
    warnings: list[Notice]
    notes: list[str]
    timing: dict[str, float]
    provenance: dict[str, Any]
    created_at: datetime


class EnergyCentre(Contract):
    """Means over the points, for a listing."""

    g: float
    energy: float


class EnergySummary(Contract):
    """A row of `GET /v1/energy`."""

    id: Identifier
    job: str
    activations: list[Identifier]
    queries: Identifier | None
    name: str
    d_model: int
    points: int
    mean: EnergyCentre | None
    created_at: datetime
    href: str
