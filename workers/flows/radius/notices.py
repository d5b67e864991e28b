"""Warnings about the statistics of a radius report, from the numbers themselves."""

from __future__ import annotations

from collections.abc import Iterator

from service.contracts.activations import ActivationStatistics
from service.contracts.base import Notice
from service.contracts.statistics import NeighborClasses, NullDistances, SampleSize

_DOMINATES = 0.1  # of the summed squared distance to the mean
_TYPICAL = 10  # times the share of a row in small sets
_BIASED = 0.02
_HUBS = 5.0  # skewness; normal data of 100 dimensions have about that


def dominating_row(statistics: ActivationStatistics, n: int, total_variance: float | None) -> Iterator[Notice]:
    """A row that holds much of the variance, of which scale and Gaussian null consist.

    ‖x − μ‖ ≥ ‖x‖ − ‖μ‖ and ‖μ‖ ≤ the mean norm, so that the share is at least the one computed here.
    """
    if not total_variance or n < 2:
        return
    share = max(0.0, statistics.norm_max - statistics.norm_mean) ** 2 / total_variance / n
    if share > max(_DOMINATES, _TYPICAL / n):
        yield Notice(
            code="dominating_row",
            message=f"one row holds {min(1.0, share):.0%} of the variance at least; scale and null models describe "
            "that row more than the others",
        )


def kernel_notices(reason: str) -> list[Notice]:
    """The kernel of a GPU was not used, for that reason, if any: the search is slower, its answer the same."""
    if not reason:
        return []
    message = f"the GPU's kernel was not used: {reason}; the search was slower, and its answer is as certain"
    return [Notice(code="kernel_not_used", message=message)]


def null_notices(nulls: list[NullDistances]) -> Iterator[Notice]:
    """Null models that the data cannot be told from, and those whose parameters are too many for the rows."""
    same = [null.kind.replace("_", " ") for null in nulls if null.verdict == "not_distinguished"]
    if same:
        yield Notice(
            code="null_not_distinguished",
            message=f"mean nn_distance cannot be told from that of a null model: {', '.join(same)}",
        )
    biased = [null for null in nulls if null.bias is not None and abs(null.bias - 1) > _BIASED]
    for null in biased:
        assert null.bias is not None
        shrunk = "" if null.shrinkage is None else f" (shrinkage {null.shrinkage:.2f})"
        yield Notice(
            code="null_bias",
            message=f"the {null.kind.replace('_', ' ')} null{shrunk} is fitted to so few rows that its own data would "
            f"have the ratio {null.bias:.3f}; `unbiased` divides it out",
        )


def neighbor_notices(found: NeighborClasses, duplicates: int) -> Iterator[Notice]:
    """Near-duplicates that are no `duplicates`, and hubs."""
    near, hubs = found.near_duplicates, found.hubness
    if near.rows is not None and near.rows > duplicates:
        yield Notice(
            code="near_duplicates",
            message=f"{near.rows - duplicates:,} rows are nearly equal to another: within {near.below:.3g} of it, a "
            "thousandth of the median",
        )
    if hubs.skewness is not None and hubs.skewness > _HUBS:
        yield Notice(
            code="hubs",
            message=f"few rows are near many others: one is among the {hubs.k} nearest of {hubs.max:,} rows, skewness "
            f"{hubs.skewness:.1f}; distances then depend on one another",
        )


def extrapolation_notices(found: SampleSize) -> Iterator[Notice]:
    """Extrapolations by more than 100 times."""
    far = [f"{each.n:,}" for each in found.extrapolated if each.far]
    if far:
        yield Notice(
            code="far_extrapolation",
            message=f"the law of the sample's size is extrapolated by more than 100 × to {', '.join(far)} rows; its "
            "intervals hold only if the dimension stays the same down to that scale",
        )
