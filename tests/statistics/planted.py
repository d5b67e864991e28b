"""Planted truth: sets whose distribution is known, drawn again and again, and how often the intervals cover.

The truth is the expectation at the design: documents and rows drawn anew. It is the mean over all draws, which the
repetitions are among; its own error is small beside an interval's width.

    python -m tests.statistics.planted [REPETITIONS [DESIGN ...]]    the table, kept in tests/benchmarks/results
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from tests.benchmarks.results import keep, path_of
from tests.statistics.sets import lists_of
from workers.statistics.coverage import coverage
from workers.statistics.dimension_lists import DimensionLists
from workers.statistics.documents import Documents
from workers.statistics.estimate import Estimate
from workers.statistics.gride import gride
from workers.statistics.lists import NearestOfTwoDocuments, NeighborLists
from workers.statistics.loss import loss_by_distance
from workers.statistics.mean_and_median import nn_uncertainty
from workers.statistics.mle import maximum_likelihood
from workers.statistics.two_nn import two_nn

Array = np.ndarray
AMBIENT = 64  # dimensions that spheres are put into
_LISTED = 60  # long enough where a large document is removed
_RESAMPLES = 200


@dataclass(frozen=True)
class Design:
    """How rows are drawn.

    Attributes:
        d: dimension of the rows; of a sphere, of its surface.
        documents: number of documents, of 1 to 2·rows − 1 rows each (lognormally many if `uneven`).
        spread: standard deviation within a document, that of the documents' centres being 1.
        uneven_spread: standard deviation of the logarithm of a document's own factor of the spread, which makes the
            distances within a document alike.
        sphere: rows over their norm, on the unit sphere of d + 1 dimensions, turned into 64.
        noise: standard deviation of normal noise in each of these 64, times √64.
        duplicates: probability of each row to be a copy of another row, mostly of another document.
    """

    name: str
    d: int
    documents: int
    rows: int
    spread: float
    uneven: bool = False
    uneven_spread: float = 0.0
    sphere: bool = False
    noise: float = 0.0
    duplicates: float = 0.0


DIMENSIONS = (2, 5, 10, 20)
SPHERES = tuple(
    design
    for d in DIMENSIONS
    for design in (
        Design(f"sphere {d}, noise", d, 60, 4, 1.0, sphere=True, noise=0.1),
        Design(f"sphere {d}, duplicates", d, 60, 4, 0.5, sphere=True, duplicates=0.1),
        Design(f"sphere {d}, clusters", d, 60, 4, 0.1, sphere=True, uneven_spread=0.5),
    )
)
DESIGNS = (
    Design("scattered", 5, 60, 4, 1.0),
    Design("clustered", 5, 60, 4, 0.2),
    Design("tight", 5, 60, 4, 0.2, uneven_spread=0.8),
    Design("uneven", 10, 60, 4, 0.4, uneven=True),
    Design("single rows", 8, 200, 1, 1.0),
    Design("few", 50, 40, 1, 1.0),
    Design("many", 20, 200, 3, 0.5, uneven=True, uneven_spread=0.5),
    *SPHERES,
)
BY_NAME = {design.name: design for design in DESIGNS}


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
    if design.sphere:
        rows = _in_64_dimensions(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        rows += design.noise / np.sqrt(AMBIENT) * rng.standard_normal(rows.shape)
    copies = np.flatnonzero(rng.random(len(rows)) < design.duplicates)
    rows[copies] = rows[rng.integers(0, len(rows), len(copies))]
    return rows, codes


def _in_64_dimensions(rows: Array) -> Array:
    """The rows in a fixed subspace that no axis lies in."""
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((AMBIENT, rows.shape[1])))[0]
    return rows @ axes.T


def estimates_of(rows: Array, codes: Array) -> dict[str, Estimate]:
    """Every estimate of one draw, by one pass over all distances."""
    nearest, documents, lists = _neighbors(rows, codes)
    distance, dimension = nn_uncertainty(nearest, documents), DimensionLists.of(lists)
    return {
        "mean": distance.mean,
        "median": distance.median,
        "TwoNN": two_nn(dimension).estimate,
        "maximum likelihood": maximum_likelihood(dimension, 10).estimate,
        "Gride": gride(dimension, 4).estimate,
        "Spearman": loss_by_distance(nearest, _losses(nearest, documents), documents).spearman,
        INDEPENDENT: _of_fixed_rows(nearest.first),
        BOOTSTRAP: _of_fixed_documents(nearest.first, documents),
    }


def _neighbors(rows: Array, codes: Array) -> tuple[NearestOfTwoDocuments, Documents, NeighborLists]:
    """The nearest rows of two documents, and lists that are long enough, by one matrix of all distances."""
    documents = Documents.of(codes, len(rows))
    norms = (rows**2).sum(axis=1)
    every = np.maximum(norms[:, None] + norms - 2 * rows @ rows.T, 0)
    np.fill_diagonal(every, np.inf)
    listed = min(_LISTED, len(rows) - 1)
    ids = np.argpartition(every, listed - 1, axis=1)[:, :listed]
    found = np.linalg.norm(rows[ids] - rows[:, None], axis=2)
    order = np.argsort(found, axis=1)
    ids, found = np.take_along_axis(ids, order, axis=1), np.take_along_axis(found, order, axis=1)
    lists = NeighborLists(found, ids, documents)
    nearest, short = NearestOfTwoDocuments.from_lists(lists)
    others = np.where(codes == codes[ids[short, 0]][:, None], np.inf, every[short])
    return nearest.with_second(short, np.sqrt(others.min(axis=1))), documents, lists


INDEPENDENT, BOOTSTRAP = "mean, rows as independent", "mean, bootstrap of documents at fixed distances"
REFUSED = (INDEPENDENT, BOOTSTRAP)


def _of_fixed_rows(distances: Array) -> Estimate:
    """Rows as independent: not to be used."""
    n = len(distances)
    return Estimate.of(float(distances.mean()), float(distances.std(ddof=1)) / n**0.5, n)


def _of_fixed_documents(distances: Array, documents: Documents) -> Estimate:
    """Documents drawn with replacement, distances as they are: not to be used either.

    Rows keep the neighbours that they have, although these are drawn anew too.
    """
    rng = np.random.default_rng(int(1e6 * distances.sum()) % 2**32)
    times = rng.multinomial(documents.count, np.full(documents.count, 1 / documents.count), _RESAMPLES)
    sums, counts = documents.sums(distances), documents.sums(np.ones(len(distances)))
    means = (times @ sums) / (times @ counts)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(distances.mean()), float(means.std(ddof=1)), (float(low), float(high)))


def _losses(nearest: NearestOfTwoDocuments, documents: Documents) -> Array:
    """Losses that follow the logarithm of the distance, with a part that a document's rows share."""
    rng = np.random.default_rng(int(1e6 * nearest.first.sum()) % 2**32)
    noise = rng.standard_normal(documents.count)[documents.codes] + rng.standard_normal(len(nearest.first))
    return np.log(np.maximum(nearest.first, 1e-3)) + 0.5 * noise


@dataclass(frozen=True)
class Covered:
    """Of one estimate: share of intervals that hold the truth, and root mean square error over the true deviation."""

    share: float
    error_over_deviation: float | None


@lru_cache
def covered(design: Design, repetitions: int) -> dict[str, Covered]:
    """How every estimate of the first `repetitions` draws of a design covers its mean value over them."""
    drawn = [estimates_of(*draw(design, seed)) for seed in range(repetitions)]
    return {name: _covered([each[name] for each in drawn]) for name in drawn[0]}


def _covered(found: list[Estimate]) -> Covered:
    values = np.array([each.value for each in found], dtype=np.float64)
    truth, intervals = values.mean(), [each.interval or (np.nan, np.nan) for each in found]
    errors = np.array([each.standard_error or np.nan for each in found])
    ratio = float(np.sqrt((errors**2).mean()) / values.std(ddof=1))
    share = float(np.mean([low <= truth <= high for low, high in intervals]))
    return Covered(share, ratio if np.isfinite(ratio) else None)


HELD_OUT_SHARE = 0.3


def _held_out(seed: int) -> tuple[float, float]:
    """The interval of the share of queries in a ball, of a mixture: 30 % lie in one, the others far from all rows.

    Each document has a share of its own, uniform from 0 to .6, so that its queries agree with one another.
    """
    rng = np.random.default_rng([seed, 3])
    rows = rng.standard_normal((60, 8))
    lists = lists_of(rows, None, 59)
    nearest, _ = NearestOfTwoDocuments.from_lists(lists)
    codes = np.repeat(np.arange(50), rng.integers(1, 8, 50))
    inside = rng.random(len(codes)) < rng.uniform(0, 2 * HELD_OUT_SHARE, 50)[codes]
    at = rng.integers(0, len(rows), len(codes))
    distances = np.where(inside, 0.4 * nearest.first[at], 40.0)
    found = coverage(distances, at, Documents.of(codes, len(codes)), nearest, lists.documents).share
    assert found.interval is not None
    return found.interval


def held_out_covered(repetitions: int) -> float:
    """How often the interval of the coverage of held-out points holds the share that was planted."""
    return float(np.mean([low <= HELD_OUT_SHARE <= high for low, high in map(_held_out, range(repetitions))]))


def main(repetitions: int = 400, names: Sequence[str] = ()) -> None:
    """Print and keep the coverage of every estimate at the named designs, or at all; the figures of others stay."""
    kept = json.loads(path_of("planted").read_text()) if names and path_of("planted").exists() else {"designs": {}}
    for design in DESIGNS if not names else [BY_NAME[name] for name in names]:
        found = covered(design, repetitions)
        kept["designs"][design.name] = {"repetitions": repetitions} | {key: asdict(each) for key, each in found.items()}
        for name, each in found.items():
            error = "" if each.error_over_deviation is None else f"{each.error_over_deviation:6.2f}"
            print(f"{design.name:22} {name:48} {each.share:6.1%} {error}", flush=True)
        keep("planted", kept)
    kept["held_out"] = {"repetitions": repetitions, "share": held_out_covered(repetitions)}
    print(f"held-out points of a mixture {kept['held_out']['share']:6.1%}")
    keep("planted", kept)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), names=sys.argv[2:])
