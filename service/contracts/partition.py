"""The partition function of measured balls, a part of the radius report."""

from __future__ import annotations

from pydantic import Field

from service.contracts.base import Contract
from service.contracts.theory import LiteralReading, TheoryAnswer


class CorrectedMeasuredPartition(Contract):
    """Eq. (13) with the correct integral, and both losses at it."""

    log_partition: float = Field(description="log Z = log Σ_i I_n(r_i)")
    effective_balls: float = Field(description="1/Σ w_i², w_i = I_n(r_i)/Z: how many balls carry Z")
    largest_share: float = Field(description="max w_i")
    equivalent_radius: float = Field(description="radius at which equally many equal balls have the same Z")
    proposition_4_loss: float | None = Field(
        description="log Z + 1/Z; null where it overflows a double; its logarithm is given"
    )
    proposition_4_log_loss: float
    loss: float = Field(description="the consistent L = log Z, in nats per pattern")


class MeasuredDisjointness(Contract):
    """Assumption 3 on the found pairs; sums and distances that differ by rounding only are equal."""

    open_balls: bool | None = Field(
        description="no open balls overlap; null: none seen to, but not every pair was searched"
    )
    closed_balls: bool | None = Field(description="no closed balls meet (Definition 1); null likewise")
    overlapping_pairs: int = Field(description="found pairs with r_i + r_j > ‖ρ_i − ρ_j‖")
    touching_pairs: int = Field(
        description="found pairs with r_i + r_j = ‖ρ_i − ρ_j‖ > 0: each other's nearest, equally far"
    )
    coinciding_rows: int = Field(description="rows at distance 0 from another, whose balls are one point; not in pairs")
    overlapping_at_mean_radius: float = Field(
        description="share of rows whose ball of the mean radius overlaps another row's: nn_distance < 2 · mean radius"
    )


class GapToUnitRadius(Contract):
    """n·log(r/r₀) in nats, from one radius r₀ of volume 1."""

    unit_radius: float = Field(description="r₀")
    at_mean_radius: float
    at_median_radius: float | None = Field(description="null where the median radius is 0")


class VolumeGap(Contract):
    """The distance of measured radii from volume 1: r₀ = √(n/2πe) in `paper_literal`, V_n(r₀) = 1 in `corrected`."""

    mean_radius: float
    median_radius: float
    paper_literal: GapToUnitRadius
    corrected: GapToUnitRadius


class Partition(TheoryAnswer):
    """Z of balls of radius nn_distance/2 around the rows of the largest fraction, in n = d_model dimensions."""

    n: int = Field(description="the dimension")
    balls: int = Field(description="radii used: rows that have a neighbour, those of radius 0 included")
    paper_literal: LiteralReading
    corrected: CorrectedMeasuredPartition
    disjoint: MeasuredDisjointness
    volume_gap: VolumeGap
