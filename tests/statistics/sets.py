"""Sets of rows in documents, and their neighbours by brute force."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from service.artifacts.statistics import RunningStatistics
from workers.neighbors.null_model import principal_deviations
from workers.neighbors.stored import StoredRows
from workers.statistics.documents import Documents
from workers.statistics.lists import NearestOfTwoDocuments, NeighborLists
from workers.statistics.scale import Scale, scale

Array = np.ndarray


def normal(seed: int, *shape: int) -> Array:
    """Standard normal numbers as the reference numbers have them."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)


def distances_of(rows: Array, codes: Array | None = None, *, exclude: bool = False) -> Array:
    """(n, n) distances; inf on the diagonal, and between rows of one document where these are excluded."""
    found = cdist(rows, rows)
    np.fill_diagonal(found, np.inf)
    if exclude and codes is not None:
        found[codes[:, None] == codes] = np.inf
    return found


def lists_of(rows: Array, codes: Array | None = None, k: int = 64, *, exclude: bool = False) -> NeighborLists:
    """The k nearest of each row, equal distances by the smaller position."""
    every = distances_of(rows, codes, exclude=exclude)
    ids = np.argsort(every, axis=1, kind="stable")[:, :k]
    distances = np.take_along_axis(every, ids, axis=1)
    return NeighborLists(distances, np.where(np.isfinite(distances), ids, -1), Documents.of(codes, len(rows)))


def nearest_of(
    rows: Array, codes: Array | None = None, *, exclude: bool = False
) -> tuple[NearestOfTwoDocuments, Documents]:
    """The nearest rows of two documents, from all distances."""
    documents = Documents.of(codes, len(rows))
    every = distances_of(rows, codes, exclude=exclude)
    first = every.min(axis=1)
    document = np.where(np.isfinite(first), documents.codes[every.argmin(axis=1)], -1)
    second = np.where(documents.codes == document[:, None], np.inf, every).min(axis=1)
    return NearestOfTwoDocuments(first, document, second), documents


def scale_of(rows: Array, nn_mean: float | None) -> Scale:
    """The scale of rows by the means, norms and axes that a report has of them."""
    running = RunningStatistics(rows.shape[1])
    running.add(rows)
    found = running.summary()
    deviations = principal_deviations(StoredRows(rows), running.mean)
    return scale(deviations, found.norm_mean, found.top5_share, rows.shape[1], nn_mean)


def uneven_codes(n: int, documents: int, seed: int = 0) -> Array:
    """(n,) codes of documents of uneven, lognormal sizes, each of at least one row, in mixed order."""
    rng = np.random.default_rng(seed)
    weights = rng.lognormal(0, 1, documents)
    codes = np.concatenate([np.arange(documents), rng.choice(documents, n - documents, p=weights / weights.sum())])
    return rng.permutation(codes)


def in_documents(seed: int, n: int = 300, d: int = 5, documents: int = 40) -> tuple[Array, Array]:
    """Rows about the centres of their documents, and their codes."""
    codes = uneven_codes(n, documents, seed)
    return normal(seed, documents, d)[codes] + 0.5 * normal(seed + 1000, n, d), codes
