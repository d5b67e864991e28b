"""The radius report: nearest-neighbour distances of an activation set, beside theory and a null model."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from service.contracts.base import Contract, Identifier, Notice, RequestContract, Seed, Text

Engine = Literal["auto", "exact", "faiss-flat", "faiss-ivf", "faiss-hnsw"]
FIGURE_FORMATS = ("png", "svg", "pdf")
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def _increasing(fractions: list[float]) -> list[float]:
    if any(low >= high for low, high in pairwise(fractions)):
        raise ValueError("fractions must increase")
    return fractions


Fractions = Annotated[
    list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1, max_length=64), AfterValidator(_increasing)
]


class RadiusOptions(RequestContract):
    """How to measure the radius; the part of a radius spec that an analysis carries as `radius`."""

    fractions: Fractions = [0.25, 0.5, 0.75, 1.0]
    exclude: Literal["self", "same_document"] = "self"
    engine: Engine = "auto"
    k: int = Field(default=1, ge=1, le=64, description="neighbours kept per row")
    radii: list[Annotated[float, Field(gt=0)]] | None = Field(
        default=None, description="count the pairs within these radii"
    )
    seed: Seed = 0


class RadiusSpec(RadiusOptions):
    """Body of a `radius` job."""

    preset: Text | None = None
    activations: Identifier
    reference: Identifier | None = Field(default=None, description="search in this set instead of the rows themselves")


class Distribution(Contract):
    """Summary of distances; quantiles interpolate linearly, `std` is the population's."""

    mean: float
    median: float
    std: float
    min: float
    max: float
    quantiles: dict[str, float]


class Centre(Contract):
    """Mean and median."""

    mean: float
    median: float


class Histogram(Contract):
    """`counts[i]` distances lie in [edges[i], edges[i+1]); the last bin is closed."""

    edges: list[float]
    counts: list[int]


class FractionReport(Contract):
    """Nearest-neighbour distances within the first `round(fraction · n)` rows of the seeded permutation."""

    fraction: float
    n: int
    nn_distance: Distribution | None = Field(description="L2 distance to the nearest other row, zeros included")
    nn_distance_distinct: Distribution | None = Field(description="the same without rows at distance 0")
    radius: Centre | None = Field(description="half of nn_distance")
    duplicates: int = Field(description="rows whose nearest other row is at distance 0")
    without_neighbor: int = Field(default=0, description="rows that `exclude` leaves without any other row")
    histogram: Histogram | None
    reason: str | None = Field(default=None, description="why there are no numbers")


class NullFraction(Contract):
    """The null model at one number of draws."""

    fraction: float
    n: int
    nn_distance: Centre | None
    observed_over_null: float | None = Field(description="mean nn_distance over the null's mean")


class NullModel(Contract):
    """Nearest-neighbour distances of structureless data: Gaussian draws with the set's mean and covariance."""

    kind: Literal["gaussian"]
    queries: int
    rank: int = Field(description="rank of the covariance")
    fractions: list[NullFraction]


class RadiusReport(Contract):
    """The answer of a radius job."""

    id: Identifier
    job: str
    activations: Identifier
    site: str | None
    name: str
    n: int
    d_model: int
    engine: str
    exclude: str
    certified_fraction: float
    fractions: list[FractionReport]
    theory: dict[str, Any]
    null_model: NullModel | None
    counts: None = None
    intrinsic_dimension: None = None
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
    """One row of a pair, readable."""

    row: int
    document: str | None
    offset: int | None
    text: str | None


class NeighborPair(Contract):
    """A row and its nearest other row."""

    distance: float
    radius: float
    a: Neighbor
    b: Neighbor
