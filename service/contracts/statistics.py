"""The statistics of a radius report besides its distances: errors, dimension, null models, units, neighbours.

Intervals are of 95 %. A value that cannot be given is null beside a reason.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.contracts.base import Contract

Interval = tuple[float, float]
STATISTICS_OFF = "statistics_off"
NullKind = Literal["gaussian", "permutation", "elliptical", "same_last_token"]


class Histogram(Contract):
    """`counts[i]` distances lie in [edges[i], edges[i+1]); the last bin is closed, and wide where some are far off."""

    edges: list[float]
    counts: list[int]


class MeanUncertainty(Contract):
    """Error of the mean."""

    standard_error: float | None
    interval: Interval | None
    method: Literal["document_jackknife", "document_clusters"] = Field(
        description="document_clusters: of queries among a reference, given the reference"
    )
    reason: str | None = Field(default=None, description="why there is no error")


class MedianUncertainty(Contract):
    """Interval of the median by order statistics: those at the share of rows up to the median, ± its error."""

    interval: Interval | None
    method: Literal["document_jackknife_order", "document_clusters_order"]
    reason: str | None = None


class Uncertainty(Contract):
    """Errors for drawing documents and rows anew, not for these rows alone."""

    mean: MeanUncertainty
    median: MedianUncertainty
    row_standard_error: float | None = Field(description="as if rows were independent; too small, for comparison")
    documents: int | None = Field(description="documents of the rows; each row is one where rows have no documents")
    rows_are_documents: bool | None = Field(description="the set has no documents, so each row counts as one")


class Estimated(Contract):
    """A value with its error by documents."""

    value: float | None
    standard_error: float | None
    interval: Interval | None
    reason: str | None = None


class MedianDifference(Contract):
    """Two nested sets' medians, compared by the share of each set's rows up to the median of both together."""

    value: float | None = Field(description="median nn_distance less that of the largest fraction")
    pooled_median: float | None
    shares: Estimated = Field(
        description="share of rows at most the pooled median away, less that of the largest fraction, paired by "
        "documents: the medians differ where its interval excludes 0"
    )


class DocumentSplit(Contract):
    """Distances of the rows of half of the documents to those of the other half, in the largest fraction.

    They are independent between documents, given the rows that answer, which the errors are for; the mean is of half as
    many rows as the fraction has, and so larger than its own.
    """

    queries: int = Field(description="rows that ask")
    query_documents: int
    database: int = Field(description="rows that answer")
    database_documents: int
    mean: Estimated
    median: Estimated = Field(description="the interval by order statistics; it comes from no standard error")
    row_standard_error: float | None = Field(description="as if rows were independent; too small, for comparison")
    rows_are_documents: bool = Field(description="the set has no documents, so each row counts as one")


class LossByDistance(Contract):
    """The loss of rows' chunks beside the rows' distances, in the largest fraction."""

    spearman: Estimated = Field(description="rank correlation of nn_distance and loss, with an interval by documents")
    deciles: list[float] | None = Field(
        description="mean loss of each tenth of the rows by nn_distance, nearest first, in nats per token"
    )
    n: int = Field(description="rows that have a neighbour and a loss")
    reason: str | None = Field(default=None, description="why there are no deciles")


class TwoNNDimension(Estimated):
    """Facco et al. 2017: (N − 1)/Σ log(T₂/T₁)."""

    regression: float | None = Field(description="slope of −log(1 − F) on log μ, without the top tenth")
    row_standard_error: float | None = Field(description="m/√N, as if rows were independent")
    n: int


class LikelihoodDimension(Estimated):
    """Levina and Bickel 2004, averaged as by MacKay and Ghahramani."""

    k: int
    n: int


class GrideDimension(Estimated):
    """Denti et al. 2022, from T₂ₖ/Tₖ."""

    k: int
    scale: float | None = Field(description="mean distance to the 2k-th neighbour")
    n: int


class DimensionEstimates(Contract):
    """One set's estimates; values above about 20 are lower bounds."""

    two_nn: TwoNNDimension
    mle: list[LikelihoodDimension]
    gride: list[GrideDimension]
    duplicates_left_out: int


class IntrinsicDimension(DimensionEstimates):
    """Over scale, and the same of the Gaussian null, by which the bias of the estimators is known."""

    null: DimensionEstimates | None


class NullDistances(Contract):
    """Nearest-neighbour distances of data without a structure that the null model lacks.

    `bias` is the ratio where the null holds, measured on draws of the null: 1 but for the error of its parameters.
    """

    kind: NullKind
    mean: float | None
    median: float | None
    standard_error: float | None = Field(description="Monte-Carlo error of the mean, from several draws")
    observed_over_null: float | None = Field(description="mean nn_distance over the null's mean")
    interval: Interval | None = Field(description="of the ratio: error of the data, by documents, and of the null")
    bias: float | None
    unbiased: Estimated = Field(description="the ratio over its bias")
    verdict: Literal["nearer", "farther", "not_distinguished"] | None = Field(
        description="of the data; only where the interval of `unbiased` excludes 1"
    )
    n: int
    queries: int = Field(description="draws whose nearest other draw was sought, each time")
    draws: int = Field(description="number of sets drawn")
    shrinkage: float | None = Field(default=None, description="Ledoit and Wolf's share of the identity in Σ")
    alone_share: float | None = Field(default=None, description="same_last_token: rows whose token no other has")
    histogram: Histogram | None
    reason: str | None = None


class SameClass(Contract):
    """Rows whose nearest neighbour is of their class, beside the chance of it."""

    share: float | None
    chance: float | None
    reason: str | None = None


class NearDuplicates(Contract):
    """Rows nearer than 1e-3 of the median to another."""

    below: float | None
    rows: int | None
    reason: str | None = None


class Hubness(Contract):
    """Numbers of times that rows are among the k nearest of others."""

    k: int
    skewness: float | None
    max: int | None
    never_neighbour_share: float | None
    reason: str | None = None


class NeighborClasses(Contract):
    """The classes of the nearest neighbours."""

    same_document: SameClass
    same_last_token: SameClass
    mutual: float | None = Field(description="rows that are a nearest neighbour of their nearest neighbour")
    near_duplicates: NearDuplicates
    hubness: Hubness


class ScaleUnits(Contract):
    """The size of the cloud, and the mean distance in units of it; covariances divide by N."""

    total_variance: float | None
    participation_ratio: float | None
    mean_norm: float
    top5_share: float | None
    nn_over_sqrt_2_total_variance: float | None
    nn_over_mean_norm: float | None
    nn_over_sqrt_n: float | None
    reason: str | None = None


class SizePoint(Contract):
    """Mean distance within one subsample of n rows."""

    n: int
    mean: float | None
    standard_error: float | None
    reason: str | None = None


class Extrapolated(Contract):
    """The fitted law at n rows; the interval is of sampling alone."""

    n: int
    mean: float | None
    interval: Interval | None
    far: bool = Field(description="more than 100 times the largest subsample")


class SampleSize(Contract):
    """log E[NN] = a − (1/m) log n, on disjoint subsamples of whole documents."""

    points: list[SizePoint]
    dimension: float | None
    standard_error: float | None
    interval: Interval | None
    extrapolated: list[Extrapolated]
    reason: str | None = None


class CoverageShare(Contract):
    """Queries within half the own distance of their nearest reference row (Assumption 2)."""

    share: float | None
    interval: Interval | None
    n: int
    reason: str | None = None


class SelfDistance(Contract):
    """The reference's own mean distance."""

    mean: float | None
    interval: Interval | None
    reason: str | None = None


class RankAUC(Contract):
    """P(query distance > own distance of a reference row), ties by half."""

    value: float | None
    interval: Interval | None
    reason: str | None = None
