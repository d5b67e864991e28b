"""Blocks as a search, eq. (6): what each block's step does to g and E of its layer, beside null models of the step.

Errors are by the documents of the points. They are given the patterns, which are of other documents, and given the
steps: neither is drawn anew. Intervals are of 95 %. A value that cannot be given is null beside a reason.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.contracts.base import Contract
from service.contracts.radius import Distribution
from service.contracts.statistics import Estimated

NullStepKind = Literal["mean_step", "permuted_step", "random_step"]
BlockVerdict = Literal[
    "nearer than every null",
    "not distinguished from mean_step",
    "not distinguished from permuted_step",
    "not distinguished from random_step",
    "worse than mean_step",
    "worse than permuted_step",
    "worse than random_step",
]


class MoveReport(Contract):
    """The effect of a move x_{t−1} → x_t on the energies of one layer."""

    decrease_share: float = Field(description="share of points with g(x_t) < g(x_{t−1})")
    g_change: float = Field(description="mean of g(x_t) − g(x_{t−1})")
    energy_change: float = Field(description="mean of E(x_t) − E(x_{t−1}), β = 1")
    cosine: float | None = Field(description="mean, between the step and the direction to the nearest pattern")
    same_nearest_share: float = Field(description="share of points whose nearest pattern stays the same")


class StepEstimates(Contract):
    """Shares of points whose g or E a step decreases, and the mean changes; or differences of these.

    Errors are by the documents of the points, given the patterns and the steps.
    """

    g_decreases: Estimated = Field(description="share of points with g after the step < g(x_{t−1})")
    energy_decreases: Estimated = Field(description="share of points with E after the step < E(x_{t−1}), β = 1")
    g_change: Estimated = Field(description="mean of g after the step − g(x_{t−1})")
    energy_change: Estimated = Field(description="mean of E after the step − E(x_{t−1}), β = 1")


class NullStep(Contract):
    """A null model of a block's steps."""

    kind: NullStepKind = Field(
        description="mean_step: every point moves by the mean step of all points; permuted_step: by that of another "
        "point, of another document where none has more than half of the points; random_step: in a random direction "
        "as far as by its own step"
    )
    measured: StepEstimates
    block_minus_null: StepEstimates = Field(
        description="paired: the mean over the points of the block's value less the null's; the errors are by the "
        "documents of the points, given the patterns and the steps"
    )


class BlockReport(Contract):
    """One block of the model, eq. (6)."""

    layer: int = Field(description="1 for the step from the first set to the second")
    site: str | None
    step_sq: Distribution = Field(description="δ_t = ‖x_t − x_{t−1}‖²")
    g_before: float = Field(description="mean g_t(x_{t−1})")
    reachable: float = Field(description="mean g_t after the best step of that length, which eq. (6) prescribes")
    block: MoveReport
    measured: StepEstimates | None = Field(
        default=None, description="of the block itself; null in reports of earlier versions"
    )
    nulls: list[NullStep] | None = Field(
        default=None, description="null models of the step; null in reports of earlier versions"
    )
    best_null: NullStepKind | None = Field(
        default=None, description="the null whose step decreases g at the largest share of points"
    )
    verdict: BlockVerdict | None = Field(
        default=None,
        description="by the intervals of `block_minus_null.g_decreases`: nearer than every null where all lie above 0; "
        "otherwise by the null of the largest share among those whose interval does not: worse where it lies below 0",
    )
    verdict_reason: str | None = Field(default=None, description="why there is no verdict")
    random: MoveReport = Field(description="the move of the null model random_step")
    shuffled: MoveReport | None = Field(
        default=None,
        description="of earlier versions: the same move among the patterns of another layer; now `layer_pairs`",
    )
    shuffled_layer: int | None = Field(default=None, description="of earlier versions: that other layer")


class LayerPairs(Contract):
    """Moves of every block among the patterns of every layer; rows are layers, columns are blocks, both from 1.

    Differences are paired: the block's share among the patterns of its own layer less that among those of the row's.
    Errors are by the documents of the points, given the patterns.
    """

    g_decreases: list[list[Estimated]] = Field(
        description="[t − 1][s − 1]: share of points with g_t(x_s) < g_t(x_{s−1}): block s, patterns of layer t"
    )
    energy_decreases: list[list[Estimated]] = Field(description="the same of E_t, β = 1")
    own_minus_other_g: list[list[Estimated]] = Field(
        description="[t − 1][s − 1]: share of block s in g_s less its share in g_t; null on the diagonal"
    )
    own_minus_other_energy: list[list[Estimated]] = Field(description="the same of E")


class DescentReport(Contract):
    """Whether each block does a nearest-neighbour search; patterns and points come from different documents."""

    patterns: int
    points: int
    documents: int | None = Field(
        default=None, description="documents of the points, by which errors are; null in reports of earlier versions"
    )
    rows_are_documents: bool | None = Field(
        default=None, description="the sets have no documents, so each row counts as one"
    )
    blocks: list[BlockReport]
    layer_pairs: LayerPairs | None = Field(default=None, description="null for one block, and in earlier versions")
    verdict: str | None = Field(default=None, description="the verdicts of all blocks, in a sentence")
    notes: list[str]
