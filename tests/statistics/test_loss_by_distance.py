"""Loss beside distance: Spearman's correlation, its jackknife, deciles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.statistics.sets import in_documents, nearest_of, normal
from workers.statistics.documents import Documents
from workers.statistics.estimate import ALL_EQUAL, NO_NEIGHBORS, ONE_DOCUMENT, TOO_FEW_ROWS, jackknife_error
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.loss import EQUAL_LOSSES, FEW_FOR_DECILES, loss_by_distance

Array = np.ndarray


def losses_of(nearest: NearestOfTwoDocuments, documents: Documents, noise: float, seed: int = 0) -> Array:
    shared = normal(seed, documents.count)[documents.codes]
    return nearest.first + noise * (0.5 * shared + normal(seed + 1, len(shared)))


@pytest.mark.parametrize("noise", [0.1, 0.5, 5.0])
def test_the_correlation_and_its_jackknife(noise: float):
    """To first order: within a tenth of the error by computing each correlation anew."""
    rows, codes = in_documents(0, n=500, documents=80)
    nearest, documents = nearest_of(rows, codes)
    losses = losses_of(nearest, documents, noise)
    found = loss_by_distance(nearest, losses, documents).spearman
    assert found.value == pytest.approx(spearmanr(nearest.first, losses)[0], abs=1e-12)
    replicates = [
        spearmanr(nearest_of(rows[codes != u])[0].first, losses[codes != u])[0] for u in range(documents.count)
    ]
    assert found.standard_error == pytest.approx(jackknife_error(np.array(replicates)), rel=0.1)


def test_ties_have_their_mean_rank():
    rows = np.round(normal(0, 200, 2), 1)
    nearest, documents = nearest_of(rows, np.arange(200) // 4)
    losses = np.round(losses_of(nearest, documents, 0.1), 1)
    found = loss_by_distance(nearest, losses, documents).spearman
    assert found.value == pytest.approx(spearmanr(nearest.first, losses)[0], abs=1e-12)
    codes = documents.codes
    replicates = [spearmanr(nearest_of(rows[codes != u])[0].first, losses[codes != u])[0] for u in range(50)]
    assert found.standard_error == pytest.approx(jackknife_error(np.array(replicates)), rel=0.15)


def test_only_the_order_matters():
    nearest, documents = nearest_of(*in_documents(1))
    losses = losses_of(nearest, documents, 0.5)
    found, expected = (loss_by_distance(nearest, each, documents).spearman for each in (np.exp(losses), losses))
    assert found == expected


def test_the_interval_lies_within_minus_one_and_one():
    nearest, documents = nearest_of(normal(0, 40, 3), np.arange(40) // 8)
    losses = nearest.first + 0.01 * normal(1, 40)
    found = loss_by_distance(nearest, losses, documents).spearman
    low, high = found.interval or (np.nan, np.nan)
    assert -1 <= low < (found.value or 0) < high <= 1


def test_the_same_order_has_a_correlation_and_no_interval():
    nearest, documents = nearest_of(normal(0, 40, 3))
    for sign in (1, -1):
        found = loss_by_distance(nearest, sign * nearest.first, documents).spearman
        assert found.value == pytest.approx(sign)
        assert found.interval is None
        assert found.reason


def test_deciles_are_of_rows_in_the_order_of_distance():
    distances = np.arange(100.0, 0, -1)
    nearest = NearestOfTwoDocuments(distances, np.zeros(100, dtype=int), distances + 1)
    found = loss_by_distance(nearest, 2 * distances, Documents.of(None, 100))
    assert found.deciles == pytest.approx(2 * (np.arange(10) * 10 + 5.5))
    assert (found.n, found.reason) == (100, None)


def test_rows_without_a_neighbour_or_a_loss_are_left_out():
    nearest, documents = nearest_of(normal(0, 60, 3))
    losses = losses_of(nearest, documents, 0.5)
    losses[3] = np.nan
    nearest.first[5] = np.inf
    found = loss_by_distance(nearest, losses, documents)
    kept = np.setdiff1d(np.arange(60), [3, 5])
    assert found.n == 58
    assert found.spearman.value == pytest.approx(spearmanr(nearest.first[kept], losses[kept])[0])


def test_what_cannot_be_given_has_a_reason():
    nearest, documents = nearest_of(normal(0, 40, 3))
    alone, document = nearest_of(normal(0, 40, 3), np.zeros(40))
    one = loss_by_distance(alone, normal(1, 40), document)
    assert (one.spearman.interval, one.spearman.reason) == (None, ONE_DOCUMENT)
    few = loss_by_distance(nearest.take(np.arange(20)), normal(1, 20), documents.take(np.arange(20)))
    assert (few.spearman.interval, few.spearman.reason, few.deciles, few.reason) == (
        None,
        TOO_FEW_ROWS,
        None,
        FEW_FOR_DECILES,
    )
    assert few.spearman.value is not None
    assert loss_by_distance(nearest, np.ones(40), documents).spearman.reason == EQUAL_LOSSES
    equal, of_equal = nearest_of(np.ones((40, 2)))
    assert loss_by_distance(equal, normal(1, 40), of_equal).spearman.reason == ALL_EQUAL
    nothing = loss_by_distance(nearest, np.full(40, np.nan), documents)
    assert (nothing.n, nothing.spearman.value, nothing.spearman.reason) == (0, None, NO_NEIGHBORS)
