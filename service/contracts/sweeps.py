"""Sweeps: one training over a grid of models, numbers of tokens and seeds, and the resulting table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from service.contracts.base import Contract, Identifier, JobState, Name, RequestContract, Seed, Text
from service.contracts.reading import read_contract
from service.contracts.training import EXPERIMENTS, Experiment, TrainingSpec

Tokens = Annotated[int, Field(ge=2)]
_MOST_RUNS = 1_000
SHARES = (
    "val_first_auxiliary",
    "gen_first_word",
    "gen_move_first",
)  # measurements of an evaluation that are shares of lines
GENERALISED = 0.99  # share of the withheld questions from which the rule counts as learned


class SweepModel(RequestContract):
    """One model of the grid: its name in the table, and the fields of `training.model` that differ."""

    name: Name = Field(description="its name in the table")
    model: dict[str, Any] = Field(default={}, description="fields of `training.model` that differ")


class SweepSpec(RequestContract):
    """Every model × D × seed is one run of `training` with these values put in."""

    preset: Text | None = Field(default=None, description="the preset these values came from")
    training: dict[str, Any] = Field(description="spec of a training, or a preset of one with overrides")
    models: Annotated[list[SweepModel], Field(max_length=64)] = Field(
        default=[], description="empty: the training's own"
    )
    tokens: Annotated[list[Tokens], Field(max_length=64)] = Field(
        default=[], description="values of training.data.tokens (D); empty: the training's own"
    )
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=64)] = Field(
        default=[0], description="a run of every cell for each seed"
    )
    sigma_sq: float = Field(default=0.04, gt=0, le=1e6, description="σ²: a D whose MSE is below it is enough, nats²")

    @model_validator(mode="after")
    def _is_a_grid(self) -> SweepSpec:
        names = [model.name for model in self.models]
        for what, values in (("models", names), ("tokens", self.tokens), ("seeds", self.seeds)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} has a value twice")
        if max(1, len(names)) * max(1, len(self.tokens)) * len(self.seeds) > _MOST_RUNS:
            raise ValueError(f"a sweep has at most {_MOST_RUNS} runs")
        if self.tokens and self.training.get("experiment") != "openelm":
            raise ValueError("tokens goes with training.experiment openelm")
        return self

    def runs(self) -> Iterator[SweepCell]:
        """The runs in order: model by model, D by D, seed by seed.

        Raises:
            InvalidInput: the values of a model do not fit.
        """
        kind = EXPERIMENTS[self.training["experiment"]]
        for place, model in enumerate(self.models or [SweepModel(name=self.training["experiment"])]):
            for tokens in self.tokens or [None]:
                for seed in self.seeds:
                    values = self.training | {"seed": seed, "model": self.training.get("model", {}) | model.model}
                    if tokens is not None:
                        values["data"] = values["data"] | {"tokens": tokens}
                    spec = read_contract(kind, values, prefix=f"spec.models.{place}.")
                    yield SweepCell(model.name, tokens, seed, spec)

    def check_runs(self) -> None:
        """Raise `InvalidInput` for the first run whose values do not fit."""
        for _ in self.runs():
            pass


@dataclass(frozen=True)
class SweepCell:
    """One run of a sweep."""

    model: str
    tokens: int | None
    seed: int
    spec: TrainingSpec


class StoppingWindow(Contract):
    """MSE(L_train, least L_val) = mean_gap² + variance over the steps on one side of the least, in nats²."""

    mse: float
    mse_error: float | None = Field(description="standard error by batch means; null with too few steps")
    mean_gap: float
    variance: float
    points: int


class Stopping(Contract):
    """The step of a run's least validation loss, and the difference of the training loss there."""

    step: int
    min_val_loss: float
    before: StoppingWindow | None
    after: StoppingWindow | None


class SweepRun(Contract):
    """One run of the grid in its present state; `stopping` is null until it has ended."""

    run: Identifier
    model: str
    tokens: int | None
    seed: int
    state: JobState
    error: dict[str, str] | None = Field(description="why the run failed: code, detail")
    step: int
    steps: int
    parameters: int = Field(description="N: without embeddings")
    losses: dict[str, float | None]
    stopping: Stopping | None
    href: str


IntervalOf = Literal["seeds", "window"]
_INTERVAL_OF = (
    "what the 95 % interval includes: seeds, the spread between the runs of a cell; window, for at least one cell only "
    "the noise of its one run's window"
)


class StoppingCell(Contract):
    """One (N, D): means over its measured runs, mse = mean_gap_sq + variance in nats²; null where there are none."""

    tokens: int
    runs: int
    measured: int = Field(description="runs that have an MSE on this side")
    mse: float | None
    mean_gap_sq: float | None
    variance: float | None
    interval: list[float] | None = Field(
        default=None,
        description="95 % interval of the MSE: with several runs by their spread, with one by the noise of its window; "
        "null where that is unknown, and in tables of older versions",
    )
    reason: str | None = Field(description="why runs were not measured")


class StoppingRow(Contract):
    """One model's cells and D*; `interval` is null where more than 5 % of its draws have no D*."""

    model: str
    parameters: float
    cells: list[StoppingCell]
    optimal_tokens: dict[str, float | None] = Field(
        description="by rule: strict (<) and at_most (≤) of the MSE as measured; printed_strict and printed_at_most of "
        "the MSE rounded to the paper's two decimals; interpolated"
    )
    interval: list[float] | None = Field(description="of the interpolated D*")
    interval_of: IntervalOf | None = Field(description=_INTERVAL_OF)
    crossing_share: float = Field(description="share of the draws that have an interpolated D*")
    parameters_per_token_squared: dict[str, float | None]
    reasons: dict[str, str] = Field(description="by rule: why there is no D*, or why it may be less")


class Exponent(Contract):
    """p of N ∝ D*^p; null where a D* is missing."""

    value: float | None
    interval: list[float] | None
    interval_of: IntervalOf | None = Field(description=_INTERVAL_OF)


class Law(Contract):
    """N/D*^power by model, over that of the first model; `spread` is the largest over the least."""

    law: str
    power: float
    ratios: list[float] | None
    spread: float | None


class StoppingTable(Contract):
    """Table 3 for these runs."""

    threshold: float
    rows: list[StoppingRow]
    exponents: dict[str, Exponent] = Field(
        description="by rule for D*, and for the plane of log MSE over log D and log N"
    )
    laws: list[Law]


class SeedAccuracies(Contract):
    """Accuracies of one Question-Formation run: shares of lines, and nats; null before the first evaluation."""

    run: Identifier
    model: str
    seed: int
    step: int | None = Field(description="step of the newest evaluation, which the other fields describe")
    val_loss: float | None
    val_first_auxiliary: float | None = Field(description="i.i.d. questions whose first word is right")
    gen_first_word: float | None = Field(description="questions of the withheld kind whose first word is right")
    gen_move_first: float | None = Field(
        description="questions of the withheld kind that begin with the sentence's first auxiliary instead"
    )
    best_gen_first_word: float | None = Field(description="the largest gen_first_word of all evaluations")
    generalised_at: int | None = Field(description=f"first step with gen_first_word ≥ {GENERALISED}; null: none yet")


class Sweep(Contract):
    """`GET /v1/sweeps/{id}`: updated as its runs end."""

    id: Identifier
    job: Identifier
    name: str
    experiment: Experiment
    spec: dict[str, Any]
    runs: list[SweepRun]
    tables: dict[str, StoppingTable] | None = Field(
        description="by side of the least validation loss (before, after); null until a run has ended"
    )
    seeds: list[SeedAccuracies] | None = Field(description="for question_formation: which rule each run learned")
    notes: list[str]
    created_at: datetime
    finished_at: datetime | None


class SweepSummary(Contract):
    """A sweep in the listing."""

    id: Identifier
    job: Identifier
    name: str
    experiment: Experiment
    created_at: datetime
    finished_at: datetime | None
    href: str
