"""The theory answers: what the paper prints, what is right, and one sentence for each difference."""

from __future__ import annotations

from pydantic import Field

from service.contracts.base import Contract

_OVERFLOW = "null where it overflows a double; its logarithm is given"


class TheoryAnswer(Contract):
    """The common fields of all theory answers."""

    notes: list[str] = Field(description="what differs and why, each with the number of the equation")


class LiteralRadius(Contract):
    """√(n/2πe) and twice that."""

    radius: float
    nn_distance: float


class CorrectedRadius(Contract):
    """The radius of volume 1, and the one at which d balls have Z = 1."""

    unit_volume_radius: float
    unit_partition_radius: float


class RadiusTheory(TheoryAnswer):
    """Radius and nearest-neighbour distance."""

    n: int
    d: int
    paper_literal: LiteralRadius
    corrected: CorrectedRadius


class LiteralBall(Contract):
    """Logarithms of volume, area of the unit sphere, and integral (12) with its bounds."""

    log_volume: float
    log_sphere_area: float
    log_ball_integral: float
    log_lower: float
    log_upper: float


class CorrectedBall(LiteralBall):
    """The same, with each lower and upper bound."""

    log_lemma_5: float
    log_jensen: float
    log_geometric: float | None = Field(description="null for r² ≥ n/2 + 1")
    unit_volume_radius: float


class BallsTheory(TheoryAnswer):
    """One ball."""

    n: int
    r: float
    paper_literal: LiteralBall
    corrected: CorrectedBall


class LiteralPartition(Contract):
    """Eqs. (12) to (14), as logarithms."""

    log_ball_integral: float
    log_partition: float
    log_lower: float
    log_upper: float


class CorrectedPartition(LiteralPartition):
    """The same with the correct integral."""

    log_volume: float


class PartitionTheory(TheoryAnswer):
    """The partition function of d equal balls."""

    paper_literal: LiteralPartition
    corrected: CorrectedPartition


class UnitPartition(Contract):
    """The solution of Z = 1: the quantity that was not given."""

    radius: float | None = None
    log_patterns: float | None = None
    dimension: float | None = None


class UnitPartitionTheory(TheoryAnswer):
    """The radius, the number of patterns or the dimension with Z = 1."""

    paper_literal: UnitPartition
    corrected: UnitPartition


class LiteralLoss(Contract):
    """Prop. 4 in nats per pattern; of a given loss, both partition functions, Z ≤ 1 first."""

    loss: float | None = Field(description=_OVERFLOW)
    log_loss: float
    log_partition: float | list[float]


class CorrectedLoss(Contract):
    """L = log Z; of a given loss, that of each partition function of Prop. 4."""

    loss: float | list[float]


class LossTheory(TheoryAnswer):
    """Prop. 4 and its inverse."""

    paper_literal: LiteralLoss
    corrected: CorrectedLoss


class LossValue(Contract):
    """A loss in nats per pattern and its logarithm."""

    loss: float | None = Field(description=_OVERFLOW)
    log_loss: float


class PerTokenLoss(Contract):
    """A loss per token."""

    nats: float
    bits: float
    perplexity: float | None = Field(description=_OVERFLOW)


class DensityLoss(Contract):
    """Eq. (15) with E_t = exp(−g_t)/Z_t as printed, between its bounds."""

    loss: float | None = Field(description=_OVERFLOW)
    log_loss: float | None = Field(description="null where the loss is not positive")
    lower: float
    upper: float | None = Field(description="null where it overflows a double")


class LiteralReading(LossValue):
    """Prop. 4 at the printed partition function."""

    log_partition: float


class CorrectedReading(Contract):
    """Every reading of the loss at the correct partition function; `loss` is log Z."""

    log_partition: float
    loss: float
    per_token: PerTokenLoss
    proposition_4: LossValue
    density: DensityLoss


class LossReadingsTheory(TheoryAnswer):
    """The loss (15) under each reading of the layer energy."""

    paper_literal: LiteralReading
    corrected: CorrectedReading


class LiteralLaws(Contract):
    """Eq. (1), nats per token."""

    chinchilla: float


class CorrectedLaws(Contract):
    """The laws with published constants, nats per token."""

    chinchilla: float
    chinchilla_besiroglu: float
    kaplan_joint: float
    kaplan_separate: float


class ScalingLawsTheory(TheoryAnswer):
    """The losses that the scaling laws predict."""

    paper_literal: LiteralLaws
    corrected: CorrectedLaws


class LiteralSize(Contract):
    """Appendix E's numbers of parameters; null for parts that the paper does not give."""

    attention: int | None
    dense: int | None
    feed_forward: int | None
    total: int
    A: float


class CorrectedSize(Contract):
    """The true numbers of parameters."""

    blocks: int
    total: int
    A: float


class TransformerSizeTheory(TheoryAnswer):
    """Numbers of parameters."""

    paper_literal: LiteralSize
    corrected: CorrectedSize
