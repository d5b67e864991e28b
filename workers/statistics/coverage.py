"""Held-out points: how near queries of other documents lie to a reference set, beside the set's own distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.statistics.documents import Documents
from workers.statistics.estimate import NO_NEIGHBORS, Estimate, cluster_estimate, share_estimate
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.mean_and_median import mean_estimate

Array = np.ndarray


@dataclass(frozen=True)
class Coverage:
    """The coverage of n queries that have a reference row.

    Attributes:
        share: share of the queries within half the nearest reference row's own nearest-neighbour distance, in its ball
            of the paper's Assumption 2.
        self_mean: mean nearest-neighbour distance of the reference rows among themselves.
        rank_auc: P(query distance > reference row's own distance) + ½ P(equal); .5 where queries are like the
            reference, at equal numbers of rows.
        n: number of queries.
    """

    share: Estimate
    self_mean: Estimate
    rank_auc: Estimate
    n: int


def coverage(
    distances: Array,
    nearest_rows: Array,
    query_documents: Documents,
    reference: NearestOfTwoDocuments,
    reference_documents: Documents,
) -> Coverage:
    """Errors of share and rank_auc by query documents, given the reference; of self_mean by document jackknife.

    Args:
        distances: (q,) distance of each query to its nearest reference row; inf where there is none.
        nearest_rows: (q,) position of that row; ignored where there is none.
        reference: distances of the reference rows among themselves; a row without another one has a ball without end.
    """
    queries = np.flatnonzero(np.isfinite(distances))
    own = mean_estimate(reference, reference_documents)
    if len(queries) == 0:
        missing = Estimate.missing(NO_NEIGHBORS)
        return Coverage(missing, own, missing, 0)
    found, documents = distances[queries], query_documents.take(queries)
    within = (found <= reference.first[nearest_rows[queries]] / 2).astype(np.float64)
    return Coverage(
        share_estimate(within, documents),
        own,
        _rank_auc(found, documents, reference.first[np.isfinite(reference.first)]),
        len(queries),
    )


def _rank_auc(distances: Array, documents: Documents, own: Array) -> Estimate:
    """Mean over the queries of the share of own distances below, ties by half (Mann and Whitney's U over its range)."""
    if len(own) == 0:
        return Estimate.missing("no reference row has a neighbour")
    ordered = np.sort(own)
    below, at_most = (np.searchsorted(ordered, distances, side=side) for side in ("left", "right"))
    return cluster_estimate((below + at_most) / (2 * len(own)), documents)
