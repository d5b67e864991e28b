"""The radius report: nearest-neighbour distances of an activation set, beside theory and a null model."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from service.contracts.base import Contract, Identifier, Notice, RequestContract, Seed, Text
from service.contracts.partition import Partition
from service.contracts.statistics import (
    STATISTICS_OFF,
    CoverageShare,
    DocumentSplit,
    Estimated,
    Histogram,
    IntrinsicDimension,
    LossByDistance,
    MedianDifference,
    NeighborClasses,
    NullDistances,
    RankAUC,
    SampleSize,
    ScaleUnits,
    SelfDistance,
    Uncertainty,
)

Engine = Literal["auto", "exact", "faiss-flat", "faiss-ivf", "faiss-hnsw"]
FIGURE_FORMATS = ("png", "svg", "pdf")
LISTED = 64  # neighbours of each row that statistics use; more than these are not kept
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def _increasing(fractions: list[float]) -> list[float]:
    if any(low >= high for low, high in pairwise(fractions)):
        raise ValueError("fractions must increase")
    return fractions


Fractions = Annotated[
    list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1, max_length=64), AfterValidator(_increasing)
]


Radii = Annotated[
    list[Annotated[float, Field(ge=0, le=1e300, allow_inf_nan=False)]], Field(min_length=1, max_length=256)
]


Transform = Annotated[
    str, StringConstraints(pattern=r"^(none|unit_norm|standardize|whiten|without_top:[1-9][0-9]{0,5})$")
]


def _as_list(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Transforms = Annotated[
    list[Transform],
    Field(min_length=1, max_length=8),
    BeforeValidator(_as_list, json_schema_input_type=Transform | list[Transform]),
]
Sizes = Annotated[list[Annotated[int, Field(ge=2, le=10**18)]], Field(max_length=16)]


class RadiusOptions(RequestContract):
    """Options of a radius measurement; an analysis has them as `radius`."""

    fractions: Fractions = Field(
        default=[0.25, 0.5, 0.75, 1.0],
        description="shares of the rows that are measured; each is a prefix of one seeded order",
    )
    exclude: Literal["self", "same_document"] = Field(
        default="self", description="rows that are not neighbours: the row itself, or all rows of its document"
    )
    engine: Engine = Field(
        default="auto", description="auto and exact: every neighbour certified; faiss-ivf, faiss-hnsw: approximate"
    )
    k: int = Field(default=1, ge=1, le=LISTED, description="neighbours kept per row")
    radii: Radii | None = Field(default=None, description="count the pairs within these distances")
    statistics: bool = Field(
        default=False,
        description="errors, intrinsic dimension, null models, classes of neighbours, size of the sample",
    )
    split: Literal["documents"] | None = Field(
        default=None,
        description="measure too how far the rows of half of the documents are from those of the other half",
    )
    transform: Transforms = Field(
        default=["none"], description="measure transformed rows too: unit_norm, standardize, whiten, without_top:N"
    )
    extrapolate_to: Sizes = Field(
        default=[], description="numbers of rows at which the mean distance is extrapolated; with `statistics`"
    )
    seed: Seed = 0

    @property
    def transforms(self) -> list[str]:
        """The transforms other than "none", each once."""
        return [name for name in dict.fromkeys(self.transform) if name != "none"]

    @model_validator(mode="after")
    def _statistics_of_exact_neighbours(self) -> Self:
        if self.statistics and self.engine in ("faiss-ivf", "faiss-hnsw"):
            raise ValueError("statistics need exact neighbours: engine auto, exact or faiss-flat")
        if self.extrapolate_to and not self.statistics:
            raise ValueError("extrapolate_to needs statistics: true")
        return self


class RadiusSpec(RadiusOptions):
    """Body of a `radius` job."""

    preset: Text | None = Field(default=None, description="the preset these values came from")
    activations: Identifier = Field(description="id of the set whose rows are measured")
    reference: Identifier | None = Field(default=None, description="database of the search; null: the rows themselves")

    @model_validator(mode="after")
    def _transformed_rows_are_searched_among_themselves(self) -> Self:
        if self.transforms and self.reference not in (None, self.activations):
            raise ValueError("transform has no meaning with a reference: it depends on the rows of one set")
        return self

    @model_validator(mode="after")
    def _one_set_is_split(self) -> Self:
        if self.split is not None and self.reference not in (None, self.activations):
            raise ValueError("split has no meaning with a reference: the queries are of another set already")
        return self


class Distribution(Contract):
    """Summary of distances; quantiles interpolate linearly, `std` is the population's."""

    mean: float
    median: float
    std: float
    min: float
    max: float
    quantiles: dict[str, float]


class NearestDistribution(Distribution):
    """The same with the errors of mean and median."""

    uncertainty: Uncertainty | None = Field(default=None, description="null in reports of earlier versions")


class Centre(Contract):
    """Mean and median."""

    mean: float
    median: float


class Approximation(Contract):
    """An approximate engine compared with the exact one on a sample of rows."""

    rows: int = Field(description="sampled rows that have a neighbour")
    recall_at_1: float = Field(description="share whose nearest neighbour was found")
    mean_bias: float = Field(description="mean nn_distance as found minus the true one, over the sample")
    median_bias: float


class FractionReport(Contract):
    """Nearest-neighbour distances within the first `round(fraction · n)` rows of the seeded permutation."""

    fraction: float
    n: int
    nn_distance: NearestDistribution | None = Field(description="L2 distance to the nearest other row, zeros included")
    minus_largest: Estimated | None = Field(
        default=None, description="mean nn_distance less that of the largest fraction, paired by documents"
    )
    median_minus_largest: MedianDifference | None = Field(
        default=None, description="the same of the median, by shares; null as `minus_largest` is"
    )
    nn_distance_distinct: Distribution | None = Field(description="the same without rows at distance 0")
    radius: Centre | None = Field(description="half of nn_distance")
    duplicates: int = Field(description="rows whose nearest other row is at distance 0")
    without_neighbor: int = Field(default=0, description="rows that `exclude` leaves without any other row")
    histogram: Histogram | None
    reason: str | None = Field(default=None, description="why there are no numbers")
    approximation: Approximation | None = Field(default=None, description="null for exact engines")


class NullFraction(Contract):
    """The null model at one number of draws."""

    fraction: float
    n: int
    nn_distance: Centre | None
    observed_over_null: float | None = Field(description="mean nn_distance over the null's mean")


class NullModel(Contract):
    """Nearest-neighbour distances of Gaussian draws with the set's mean and covariance."""

    kind: Literal["gaussian"]
    queries: int
    rank: int = Field(description="rank of the covariance")
    fractions: list[NullFraction]


class VariantFraction(Contract):
    """One fraction of transformed rows."""

    fraction: float
    n: int
    nn_distance: Centre | None


class ScaleVariant(Contract):
    """Distances of transformed rows: mean and median of each fraction, and the scale."""

    transform: str
    d_model: int
    fractions: list[VariantFraction]
    scale: ScaleUnits


class Scale(ScaleUnits):
    """The scale of the rows as they are, and after each transformation."""

    variants: list[ScaleVariant]


class NeighborsWithin(Contract):
    """Rows within one distance of a row, over all rows."""

    mean: float
    median: float
    std: float
    min: int
    max: int
    quantiles: dict[str, float]
    rows_without: int = Field(description="rows that have none")


class CountsWithin(Contract):
    """Pairs within one distance."""

    radius: float
    pairs: int = Field(description="unordered pairs of admissible rows with ‖x − y‖ ≤ radius")
    share: float | None = Field(
        description="of all admissible pairs: the empirical distribution of pair distances; null when there is none"
    )
    neighbors: NeighborsWithin


class Counts(Contract):
    """Counts within distances, of all rows of the largest fraction. Exact: decided in float64."""

    ball: Literal["closed: ‖x − y‖ ≤ radius"] = "closed: ‖x − y‖ ≤ radius"
    n: int
    admissible_pairs: int
    radii: list[CountsWithin]


class RadiusReport(Contract):
    """The result of a radius job."""

    id: Identifier
    job: str
    activations: Identifier
    site: str | None
    name: str
    n: int
    d_model: int
    reference: Identifier | None = Field(
        default=None,
        description="the database of the search; null: the rows themselves. Otherwise fractions are of this set",
    )
    engine: str = Field(description="exact, faiss-flat, faiss-ivf or faiss-hnsw")
    engine_reason: str = Field(default="", description="why that engine")
    exclude: str
    certified_fraction: float = Field(description="share of rows whose neighbours are proved; 0 for approximate ones")
    fractions: list[FractionReport]
    theory: dict[str, Any]
    null_model: NullModel | None
    counts: Counts | None = None
    partition: Partition | None = None
    partition_reason: str | None = Field(default=None, description="why `partition` is null")
    statistics_reason: str | None = Field(
        default=STATISTICS_OFF,
        description="why dimension, neighbours, size of the sample and loss are null; if off, null models too",
    )
    intrinsic_dimension: IntrinsicDimension | None = None
    null_models: list[NullDistances] | None = Field(default=None, description="of the largest fraction")
    neighbors: NeighborClasses | None = None
    sample_size: SampleSize | None = None
    loss: LossByDistance | None = None
    split: DocumentSplit | None = Field(default=None, description="null where the spec has no `split`")
    scale: Scale | None = Field(default=None, description="null in reports of earlier versions")
    coverage: CoverageShare | None = Field(default=None, description="of queries in a reference")
    self: SelfDistance | None = Field(default=None, description="of the reference")
    rank_auc: RankAUC | None = None
    warnings: list[Notice]
    timing: dict[str, float]
    provenance: dict[str, Any]
    created_at: datetime


class RadiusSummary(Contract):
    """A row of `GET /v1/radius`."""

    id: Identifier
    job: str
    activations: Identifier
    site: str | None
    name: str
    n: int
    d_model: int
    nn_distance: Centre | None
    created_at: datetime
    href: str


class Neighbor(Contract):
    """One row of a pair, with its text, or with the id and label that it was imported with."""

    row: int
    id: str | None = None
    label: str | None = None
    document: str | None
    offset: int | None
    text: str | None


class NeighborPair(Contract):
    """A row and its nearest other row."""

    distance: float
    radius: float
    a: Neighbor
    b: Neighbor
