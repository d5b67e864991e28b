"""`/v1/theory`: closed forms, literal and corrected."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.bodies import StrictRoute
from service.api.problems import RESPONSES
from service.contracts.base import Text
from service.contracts.figure1 import Figure1Theory
from service.contracts.theory import (
    BallsTheory,
    LossReadingsTheory,
    LossTheory,
    PartitionTheory,
    RadiusTheory,
    ScalingLawsTheory,
    TransformerSizeTheory,
    UnitPartitionTheory,
)
from service.contracts.theory_tables import BalanceTheory, HopfieldTheory, ReportedLossesTheory, StoppingTheory
from service.errors import InvalidInput
from service.theory import domain
from service.theory.balance import balance_theory
from service.theory.ball_bounds import balls_theory
from service.theory.figure1 import figure1_theory
from service.theory.hopfield_capacities import hopfield_capacities_theory
from service.theory.loss import inverse_loss_theory, loss_theory
from service.theory.loss_readings import loss_readings_theory
from service.theory.partition import partition_theory
from service.theory.radius import radius_theory
from service.theory.reported_losses import reported_losses_theory
from service.theory.scaling_laws import scaling_laws_theory
from service.theory.stopping_table import PRINTED_THRESHOLD, stopping_table_theory
from service.theory.transformer_size import Gpt2Config, gpt2_size_theory, transformer_size_theory
from service.theory.unit_partition import unit_partition_theory

router = APIRouter(prefix="/v1/theory", tags=["theory"], route_class=StrictRoute, responses={422: RESPONSES[422]})
_MAX_N = 2**24  # a sequence of 2^14 tokens of 2^10 numbers; beyond it a sum near r² = n/2 takes seconds

Dimension = Annotated[int, Query(ge=1, le=_MAX_N, description="dimension")]
Patterns = Annotated[int, Query(ge=1, le=domain.MAX_PATTERNS, description="number of patterns")]
Radius = Annotated[float, Query(ge=domain.MIN_RADIUS, le=domain.MAX_RADIUS, description="radius of every ball")]
Count = Annotated[float, Query(ge=1, le=domain.MAX_COUNT)]


@router.get("/radius")
def get_theory_radius(n: Dimension, d: Patterns) -> RadiusTheory:
    """Radius and nearest-neighbour distance that the paper's formula and the correct ones give."""
    return RadiusTheory.model_validate(radius_theory(n, d))


@router.get("/balls")
def get_theory_balls(n: Dimension, r: Radius) -> BallsTheory:
    """Volume and Gaussian integral (12) of a ball, with all bounds, as logarithms."""
    return BallsTheory.model_validate(balls_theory(n, r))


@router.get("/partition")
def get_theory_partition(n: Dimension, d: Patterns, r: Radius) -> PartitionTheory:
    """The partition function (13) of d equal balls and its bounds (14), as logarithms."""
    return PartitionTheory.model_validate(partition_theory(n, d, r))


@router.get("/unit-partition", response_model_exclude_none=True)
def get_theory_unit_partition(
    n: Annotated[int | None, Query(ge=1, le=_MAX_N, description="dimension")] = None,
    d: Annotated[int | None, Query(ge=1, le=domain.MAX_PATTERNS, description="number of patterns")] = None,
    r: Annotated[float | None, Query(ge=domain.MIN_RADIUS, le=domain.MAX_RADIUS, description="radius")] = None,
) -> UnitPartitionTheory:
    """Z = 1: of n and d the radius, of n and r the number of patterns, of d alone the dimension at radius √(n/2πe)."""
    return UnitPartitionTheory.model_validate(unit_partition_theory(n, d, r))


@router.get("/loss")
def get_theory_loss(
    log_partition: Annotated[
        float | None, Query(ge=-domain.MAX_LOG, le=domain.MAX_LOG, description="log Z of a layer")
    ] = None,
    loss: Annotated[float | None, Query(ge=1, le=domain.MAX_LOG, description="nats per pattern")] = None,
) -> LossTheory:
    """Prop. 4's loss at a partition function, or of a loss both partition functions; give one of the two."""
    if log_partition is not None and loss is None:
        return LossTheory.model_validate(loss_theory(log_partition))
    if loss is not None and log_partition is None:
        return LossTheory.model_validate(inverse_loss_theory(loss))
    raise InvalidInput("give either log_partition or loss", field="log_partition")


@router.get("/loss-readings")
def get_theory_loss_readings(
    n: Dimension,
    d: Patterns,
    r: Radius,
    tokens: Annotated[int, Query(ge=1, le=2**20, description="tokens of a pattern")] = 1024,
) -> LossReadingsTheory:
    """The loss (15) of d equal balls under each reading of the layer energy, per pattern and per token."""
    return LossReadingsTheory.model_validate(loss_readings_theory(n, d, r, tokens))


@router.get("/scaling-laws")
def get_theory_scaling_laws(
    parameters: Annotated[Count, Query(alias="N", description="parameters")],
    tokens: Annotated[Count, Query(alias="D", description="tokens")],
) -> ScalingLawsTheory:
    """The losses that the Chinchilla and Kaplan laws predict, nats per token."""
    return ScalingLawsTheory.model_validate(scaling_laws_theory(parameters, tokens))


@router.get("/transformer-size")
def get_theory_transformer_size(
    model: Annotated[Text | None, Query(description="gpt2[-medium|-large|-xl] or openelm-m1|m2|m3")] = None,
    n_layers: Annotated[int | None, Query(ge=1, le=10_000, description="of a GPT-2 without a name")] = None,
    d_model: Annotated[int | None, Query(ge=1, le=2**24, description="of a GPT-2 without a name")] = None,
) -> TransformerSizeTheory:
    """Numbers of parameters by appendix E and in truth: of a model, or of a GPT-2 with n_layers and d_model."""
    if model is not None and n_layers is None and d_model is None:
        return TransformerSizeTheory.model_validate(transformer_size_theory(model))
    if model is None and n_layers is not None and d_model is not None:
        return TransformerSizeTheory.model_validate(gpt2_size_theory(Gpt2Config(n_layers, d_model)))
    raise InvalidInput("give either model, or n_layers and d_model", field="model")


@router.get("/balance")
def get_theory_balance(
    n: Dimension = 1024,
    d: Annotated[int, Query(ge=3, le=domain.MAX_PATTERNS, description="number of patterns")] = 80_000,
) -> BalanceTheory:
    """Prop. 5: how many patterns go with a dimension for Z = 1, by the paper's way and in truth."""
    return BalanceTheory.model_validate(balance_theory(n, d))


@router.get("/table-1")
def get_theory_table_1() -> HopfieldTheory:
    """Table 1: Hopfield networks, their energies and capacities."""
    return HopfieldTheory.model_validate(hopfield_capacities_theory())


@router.get("/figure1")
def get_theory_figure1() -> Figure1Theory:
    """Fig. 1: the minima of both energies on the paper's patterns."""
    return Figure1Theory.model_validate(figure1_theory())


@router.get("/table-2")
def get_theory_table_2() -> ReportedLossesTheory:
    """Table 2: reported losses, beside those that the scaling laws predict."""
    return ReportedLossesTheory.model_validate(reported_losses_theory())


@router.get("/table-3")
def get_theory_table_3(
    threshold: Annotated[float, Query(ge=1e-6, le=1e6, description="σ², in nats²")] = PRINTED_THRESHOLD,
    strict: Annotated[bool, Query(description="below the threshold, not at it")] = True,
) -> StoppingTheory:
    """Table 3: D* and N/D*² as printed, and by the paper's rule from the printed errors."""
    return StoppingTheory.model_validate(stopping_table_theory(threshold, strict=strict))
