"""Classes of the nearest neighbours: same document, same last token, mutual, near-duplicates, hubs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.statistics.estimate import NO_NEIGHBORS
from workers.statistics.lists import NeighborLists, blocks_of_rows

Array = np.ndarray
NEAR_DUPLICATE = 1e-3
HUB_K = 10
NO_DOCUMENTS = "the rows have no documents"
NO_TOKENS = "the rows have no last token"
ONE_ROW = "there is one row only"
SHORT_LISTS = f"the lists have fewer than {HUB_K} neighbours"
EQUALLY_OFTEN = "all rows are equally often neighbours"


@dataclass(frozen=True)
class SameClass:
    """Share of rows whose nearest neighbour is of their own class, beside the chance of that.

    Attributes:
        chance: Σ_c n_c (n_c − 1) / (n (n − 1)), that two rows drawn without replacement are of one class.
    """

    share: float | None
    chance: float | None
    reason: str | None = None


@dataclass(frozen=True)
class NearDuplicates:
    """Number of rows nearer than `below` = 1e-3 times the median to another row, or equal to one."""

    below: float | None
    rows: int | None
    reason: str | None = None


@dataclass(frozen=True)
class Hubness:
    """The k-occurrences N_k(j): in how many rows' k-neighbour lists row j is (Radovanović et al. 2010).

    Attributes:
        skewness: the population's, mean((N − k̄)³)/std³; None where all are equally often neighbours.
        max: the largest N_k.
        never_neighbour_share: share of rows with N_k = 0.
    """

    k: int
    skewness: float | None
    max: int | None
    never_neighbour_share: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Neighborhood:
    """Statistics of the nearest neighbours of n rows.

    Attributes:
        mutual: share of rows that are a nearest neighbour of their nearest neighbour; None for no row with one.
    """

    same_document: SameClass
    same_last_token: SameClass
    mutual: float | None
    near_duplicates: NearDuplicates
    hubness: Hubness


def neighborhood(lists: NeighborLists, last_tokens: Array | None) -> Neighborhood:
    """Compute the shares of the lists' first column and the hubness of the first ten.

    Rows without a neighbour count in no share.

    Args:
        last_tokens: (n,) labels; None where the rows are of no tokens.
    """
    documents = lists.documents
    return Neighborhood(
        same_class(lists, documents.codes) if documents.known else SameClass(None, None, NO_DOCUMENTS),
        SameClass(None, None, NO_TOKENS) if last_tokens is None else same_class(lists, last_tokens),
        mutual_share(lists),
        near_duplicates(lists.distances[:, 0]),
        hubness(lists, HUB_K),
    )


def same_class(lists: NeighborLists, labels: Array) -> SameClass:
    """Share and chance of one class, by (n,) labels of any kind."""
    n = len(labels)
    if n < 2:
        return SameClass(None, None, ONE_ROW)
    counts = np.unique(labels, return_counts=True)[1].astype(np.float64)
    chance = float((counts * (counts - 1)).sum() / (n * (n - 1.0)))
    rows = _with_neighbor(lists)
    if len(rows) == 0:
        return SameClass(None, chance, NO_NEIGHBORS)
    return SameClass(float((labels[lists.ids[rows, 0]] == labels[rows]).mean()), chance)


def mutual_share(lists: NeighborLists) -> float | None:
    """Share of rows i whose neighbour j has i as its nearest, or another row at the same distance."""
    rows = _with_neighbor(lists)
    if len(rows) == 0:
        return None
    nearest, distances = lists.ids[:, 0], lists.distances[:, 0]
    other = nearest[rows]
    return float(((nearest[other] == rows) | (distances[other] == distances[rows])).mean())


def near_duplicates(distances: Array) -> NearDuplicates:
    """Count near-duplicates in (n,) nearest-neighbour distances; inf marks a row without neighbour."""
    found = distances[np.isfinite(distances)]
    if len(found) == 0:
        return NearDuplicates(None, None, NO_NEIGHBORS)
    below = NEAR_DUPLICATE * float(np.median(found))
    return NearDuplicates(below, int(((found < below) | (found == 0)).sum()))


def hubness(lists: NeighborLists, k: int) -> Hubness:
    """Distribution of the k-occurrences over the n rows."""
    if lists.k < k or len(_with_neighbor(lists)) == 0:
        return Hubness(k, None, None, None, SHORT_LISTS if lists.k < k else NO_NEIGHBORS)
    counts = np.zeros(len(lists), dtype=np.int64)
    for start, stop in blocks_of_rows(len(lists), k):
        ids = lists.ids[start:stop, :k]
        counts += np.bincount(ids[ids >= 0], minlength=len(counts))
    deviations = counts - counts.mean()
    spread = float(np.sqrt((deviations**2).mean()))
    skewness = float((deviations**3).mean()) / spread**3 if spread > 0 else None
    never = float((counts == 0).mean())
    return Hubness(k, skewness, int(counts.max()), never, EQUALLY_OFTEN if skewness is None else None)


def _with_neighbor(lists: NeighborLists) -> Array:
    return np.flatnonzero(lists.ids[:, 0] >= 0)
