"""The theory answers that come as tables: Prop. 5 for the models of appendix F.3, and Tables 1 to 3."""

from __future__ import annotations

from pydantic import Field

from service.contracts.base import Contract
from service.contracts.theory import CorrectedLaws, TheoryAnswer


class LiteralModelBalance(Contract):
    """The prediction of Prop. 5's derivation for a model of appendix F.3, and the reported value."""

    model: str
    parameters: float
    reported_tokens: float
    reported_ratio: float = Field(description="N/D*²")
    predicted_ratio: float = Field(description="A·l·d_emb/(πT³)")
    predicted_tokens: float


class CorrectedModelBalance(Contract):
    """The true log Z at the reported D*."""

    model: str
    dimension: int
    log_partition: float


class LiteralBalance(Contract):
    """Z = 1 at the radius √(n/2πe), by the two bounds of (14)."""

    exponent: float
    log_patterns_upper: float
    log_patterns_lower: float
    dimension_upper: float
    dimension_lower: float
    models: list[LiteralModelBalance]


class CorrectedBalance(Contract):
    """Z = 1 at that radius with the correct integral; exponents of the paper's way with fewer things held fixed."""

    exponent_fixed_length_and_depth: float
    exponent_fixed_length_depth_as_width: float
    log_patterns: float
    dimension: float
    models: list[CorrectedModelBalance]


class BalanceTheory(TheoryAnswer):
    """Prop. 5."""

    paper_literal: LiteralBalance
    corrected: CorrectedBalance


class HopfieldRow(Contract):
    """A row of Table 1."""

    reference: str
    domain: str
    energy: str
    capacity: str


class HopfieldRows(Contract):
    """Table 1."""

    rows: list[HopfieldRow]


class HopfieldTheory(TheoryAnswer):
    """Energies and capacities of Hopfield networks."""

    paper_literal: HopfieldRows
    corrected: HopfieldRows


class ReportedRow(Contract):
    """A row of Table 2, and eq. (1) for it."""

    model: str
    parameters: float
    tokens: float
    loss: float
    reference: str
    chinchilla: float


class ReportedRows(Contract):
    """Table 2."""

    rows: list[ReportedRow]


class PredictedRow(CorrectedLaws):
    """The predictions of the laws for a row."""

    model: str
    parameters_per_token_squared: float
    tokens_per_parameter: float


class PredictedRows(Contract):
    """Predictions, and the slope and correlation of log N on log D."""

    rows: list[PredictedRow]
    exponent: float
    correlation: float


class ReportedLossesTheory(TheoryAnswer):
    """Reported losses beside predicted ones."""

    paper_literal: ReportedRows
    corrected: PredictedRows


class StoppingRow(Contract):
    """A model of Table 3."""

    parameters: float
    tokens: list[float]
    mse: list[float]
    optimal_tokens: float | None = Field(description="D*; null where no run is below the threshold")
    parameters_per_token_squared: float | None = Field(description="N/D*²")


class LiteralStopping(Contract):
    """Table 3 as printed."""

    threshold: float
    rows: list[StoppingRow]
    exponent: float


class CorrectedStopping(Contract):
    """The rule applied to the printed cells, and how far they fix the exponent of N ∝ D^p."""

    threshold: float
    strict: bool
    rows: list[StoppingRow]
    exponent: float | None
    exponent_low: float
    exponent_high: float
    column_ratios: list[list[float]]


class StoppingTheory(TheoryAnswer):
    """D* and Table 3."""

    paper_literal: LiteralStopping
    corrected: CorrectedStopping
