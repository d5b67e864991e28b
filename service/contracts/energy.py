"""Energies: the spec of a job, and the small evaluation that is computed while its request waits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from service.contracts.base import Contract, Identifier, RequestContract, Seed, Text

Number = Annotated[float, Field(allow_inf_nan=False)]
# Of millions of wrong numbers the first is named: an error of each would need a gigabyte.
Row = Annotated[list[Number], Field(min_length=1, fail_fast=True)]
Rows = Annotated[list[Row], Field(min_length=1, fail_fast=True)]
Beta = Annotated[float, Field(ge=1e-6, le=1e6)]


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("a value is given twice")
    return values


Betas = Annotated[list[Beta], Field(min_length=1, max_length=8), AfterValidator(_distinct)]


class EnergyOptions(RequestContract):
    """Options of an energy measurement."""

    beta: Betas = Field(default=[1.0], description="inverse temperatures of E and E_MCHN")
    sample: int | None = Field(default=None, ge=1, description="number of query rows, drawn by the seed; null: all")
    seed: Seed = 0


class AnalysisEnergy(EnergyOptions):
    """The part of an analysis that measures energies."""

    layers: Literal["each", "together"] = Field(
        default="each", description="one report for each site, or one for all of them as layers, in their order"
    )


class EnergySpec(EnergyOptions):
    """Body of an `energy` job: the sets are layers, in their order."""

    preset: Text | None = Field(default=None, description="the preset these values came from")
    activations: Annotated[list[Identifier], Field(max_length=128), AfterValidator(_distinct)] = Field(
        default=[], description="ids of the sets whose rows are the patterns; several are the layers of one model"
    )
    queries: Identifier | None = Field(
        default=None, description="set of the query rows; null: the rows of the last set, each without itself"
    )
    builtin: Literal["figure1"] | None = Field(default=None, description="the paper's Fig. 1 instead of any set")

    @model_validator(mode="after")
    def _one_source(self) -> EnergySpec:
        if bool(self.activations) == (self.builtin is not None):
            raise ValueError("give activations, or builtin, and not both")
        if self.queries is not None and self.queries in self.activations:
            raise ValueError(
                "the queries are one of the activation sets; with queries null each row is excluded from its own search"
            )
        return self


class EvaluateRequest(RequestContract):
    """Body of `POST /v1/energy/evaluate`. A query equal to a pattern is not excluded: its g is 0."""

    patterns: Rows = Field(description="(d, n) stored patterns")
    queries: Rows = Field(description="(q, n) points")
    beta: Beta = 1.0


class EvaluatedPoint(Contract):
    """Energies at one query."""

    g: float = Field(description="squared distance to the nearest pattern, eq. (3)")
    energy: float = Field(description="E at the requested β; eq. (4) is β = 1")
    energy_mchn: float = Field(description="E_MCHN at that β, with all its constants")
    nearest: int = Field(description="index of the nearest pattern, the lowest among equals")
    weights_entropy: float = Field(description="of softmax(−β ‖x − ρ‖²), in nats: 0 to log d")
    weights_entropy_rounding: float = Field(
        default=0.0, description="bound on what rounding changed in `weights_entropy`"
    )


class HeldBound(Contract):
    """One inequality over all points: lower ≤ value ≤ upper."""

    lower: float
    upper: float
    failed_share: float = Field(description="share of the points where it does not hold")


class Propositions(Contract):
    """Bounds of E − g, E − (2 E_MCHN − log d) and g − 2 E_MCHN, with E at β = 1 and E_MCHN at β = 2."""

    proposition_1: HeldBound
    proposition_2: HeldBound
    proposition_3: HeldBound


class MeasuredRanges(Contract):
    """Smallest and largest value of each bounded quantity."""

    energy_minus_g: list[float]
    energy_minus_shifted_mchn: list[float]
    g_minus_twice_mchn: list[float]


class EnergyBounds(Contract):
    """Props. 1 to 3 as printed and corrected, checked at every point."""

    patterns: int
    spread: float = Field(description="Δ = max ‖ρ‖² − min ‖ρ‖²")
    paper_literal: Propositions
    corrected: Propositions
    measured: MeasuredRanges
    notes: list[str]


class Evaluation(Contract):
    """Answer of `POST /v1/energy/evaluate`."""

    beta: float
    results: list[EvaluatedPoint]
    bounds: EnergyBounds
