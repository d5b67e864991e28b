"""Planted truth: sets whose distribution is known, drawn again and again, and how often the intervals cover.

The truth is the expectation at the design: documents and rows drawn anew. It is the mean over many draws, which the
repetitions are among; its own error is small beside an interval's width.

    python -m tests.statistics.planted [REPETITIONS]    prints the table of all designs
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.statistics.sets import lists_of, nearest_of
from workers.statistics.documents import Documents
from workers.statistics.estimate import Estimate
from workers.statistics.intrinsic_dimension import intrinsic_dimension
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.loss import loss_by_distance
from workers.statistics.mean_and_median import nn_uncertainty

Array = np.ndarray


@dataclass(frozen=True)
class Design:
    """How rows are drawn.

    Attributes:
        d: dimension of the rows; of a sphere, of its surface.
        documents: number of documents, of 1 to 2·rows − 1 rows each (lognormally many if `uneven`).
        spread: standard deviation within a document, that of the documents' centres being 1.
        uneven_spread: standard deviation of the logarithm of a document's own factor of the spread, which makes the
            distances within a document alike.
        sphere: rows over their norm, on the unit sphere of d + 1 dimensions.
    """

    name: str
    d: int
    documents: int
    rows: int
    spread: float
    uneven: bool = False
    uneven_spread: float = 0.0
    sphere: bool = False


DESIGNS = (
    Design("scattered", 5, 60, 4, 1.0),
    Design("clustered", 5, 60, 4, 0.2),
    Design("tight", 5, 60, 4, 0.2, uneven_spread=0.8),
    Design("uneven", 10, 60, 4, 0.4, uneven=True),
    Design("sphere", 5, 60, 4, 0.2, sphere=True),
    Design("single rows", 8, 200, 1, 1.0),
    Design("many", 20, 200, 3, 0.5, uneven=True, uneven_spread=0.5),
)


def draw(design: Design, seed: int) -> tuple[Array, Array]:
    """(n, d) rows and their (n,) documents; the number of rows is drawn too."""
    rng = np.random.default_rng([seed, design.documents, design.d])
    if design.uneven:
        sizes = np.ceil(rng.lognormal(np.log(design.rows) - 0.32, 0.8, design.documents)).astype(int)
    else:
        sizes = rng.integers(1, 2 * design.rows, design.documents)
    codes = np.repeat(np.arange(design.documents), sizes)
    d = design.d + design.sphere
    spreads = design.spread * np.exp(design.uneven_spread * rng.standard_normal(design.documents))
    rows = rng.standard_normal((design.documents, d))[codes] + spreads[codes, None] * rng.standard_normal(
        (len(codes), d)
    )
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True) if design.sphere else rows), codes


@dataclass(frozen=True)
class Covered:
    """Of one estimate: share of intervals that hold the truth, and root mean square error over the true deviation."""

    share: float
    error_over_deviation: float | None


def mean_by_documents(rows: Array, codes: Array) -> Estimate:
    return nn_uncertainty(*nearest_of(rows, codes)).mean


def median_by_documents(rows: Array, codes: Array) -> Estimate:
    return nn_uncertainty(*nearest_of(rows, codes)).median


def mean_of_fixed_rows(rows: Array, codes: Array) -> Estimate:
    """Rows as independent: not to be used."""
    nearest, _ = nearest_of(rows, codes)
    n = len(nearest.first)
    return Estimate.of(float(nearest.first.mean()), float(nearest.first.std(ddof=1)) / n**0.5, n)


def two_nn_by_documents(rows: Array, codes: Array) -> Estimate:
    return intrinsic_dimension(lists_of(rows, codes, min(len(rows) - 1, 60))).two_nn.estimate


def maximum_likelihood_by_documents(rows: Array, codes: Array) -> Estimate:
    return intrinsic_dimension(lists_of(rows, codes, min(len(rows) - 1, 60))).mle[0].estimate


def gride_by_documents(rows: Array, codes: Array) -> Estimate:
    return intrinsic_dimension(lists_of(rows, codes, min(len(rows) - 1, 60))).gride[2].estimate


def spearman_by_documents(rows: Array, codes: Array) -> Estimate:
    """With a loss that follows the logarithm of the distance, and a part that a document's rows share."""
    nearest, documents = nearest_of(rows, codes)
    return loss_by_distance(nearest, _losses(nearest, documents), documents).spearman


def _losses(nearest: NearestOfTwoDocuments, documents: Documents) -> Array:
    rng = np.random.default_rng(int(1e6 * nearest.first[0]) % 2**32)
    noise = rng.standard_normal(documents.count)[documents.codes] + rng.standard_normal(len(nearest.first))
    return np.log(nearest.first) + 0.5 * noise


ESTIMATES: dict[str, Callable[[Array, Array], Estimate]] = {
    "mean": mean_by_documents,
    "median": median_by_documents,
    "mean, rows as independent": mean_of_fixed_rows,
    "TwoNN": two_nn_by_documents,
    "maximum likelihood": maximum_likelihood_by_documents,
    "Gride": gride_by_documents,
    "Spearman": spearman_by_documents,
}


def covered(
    design: Design, estimate: Callable[[Array, Array], Estimate], repetitions: int, draws: int | None = None
) -> Covered:
    """How the first `repetitions` draws of a design cover the mean value of all `draws` (as many unless given)."""
    found = [estimate(*draw(design, seed)) for seed in range(max(repetitions, draws or 0))]
    values = np.array([each.value for each in found], dtype=np.float64)
    truth, intervals = values.mean(), [each.interval or (np.nan, np.nan) for each in found[:repetitions]]
    errors = np.array([each.standard_error or np.nan for each in found[:repetitions]])
    ratio = float(np.sqrt((errors**2).mean()) / values.std(ddof=1))
    share = float(np.mean([low <= truth <= high for low, high in intervals]))
    return Covered(share, ratio if np.isfinite(ratio) else None)


def main(repetitions: int) -> None:
    """Print the coverage of every estimate at every design."""
    for design in DESIGNS:
        for name, estimate in ESTIMATES.items():
            found = covered(design, estimate, repetitions)
            print(f"{design.name:12} {name:28} {found.share:6.1%} {found.error_over_deviation or float('nan'):6.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
