"""Half of the documents ask, the other half answers."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from tests.statistics.sets import in_documents, uneven_codes
from workers.statistics.documents import Documents
from workers.statistics.estimate import ONE_DOCUMENT
from workers.statistics.mean_and_median import uncertainty_of_queries
from workers.statistics.split import halves_of_documents

Array = np.ndarray


def halves(documents: Documents, seed: int = 0) -> tuple[Array, Array]:
    found = halves_of_documents(documents, seed)
    assert not isinstance(found, str)
    return found


def test_documents_stay_whole_and_no_row_is_lost():
    codes = uneven_codes(400, 41)
    asking, answering = halves(Documents.of(codes, 400))
    assert np.array_equal(np.sort(np.concatenate([asking, answering])), np.arange(400))
    ask, answer = set(codes[asking]), set(codes[answering])
    assert (len(ask), len(answer), ask & answer) == (20, 21, set())


def test_halves_depend_on_the_seed_alone():
    documents = Documents.of(uneven_codes(400, 40), 400)
    one, same, other = (halves(documents, seed)[0] for seed in (2**40, 2**40, 2**40 + 2**33))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_documents_without_a_row_do_not_count():
    whole = Documents.of(np.arange(40) // 10, 40)
    asking, answering = halves(whole.take(np.arange(20)))
    assert (len(asking), len(answering)) == (10, 10)
    assert halves_of_documents(whole.take(np.arange(10)), 0) == ONE_DOCUMENT


def test_the_error_is_of_drawing_the_documents_that_ask_anew():
    """Given the rows that answer: the true deviation is that over many sets of documents that ask."""
    rows, codes = in_documents(0, 300, 5, 40)
    asking, answering = halves(Documents.of(codes, 300))
    database, rng = rows[answering], np.random.default_rng(1)
    documents = np.unique(codes[asking])
    means, errors = [], []
    for _ in range(300):
        centres = rng.standard_normal((len(documents), 5))
        drawn = np.repeat(np.arange(len(documents)), 7)
        queries = centres[drawn] + 0.5 * rng.standard_normal((len(drawn), 5))
        found = uncertainty_of_queries(cdist(queries, database).min(axis=1), Documents.of(drawn, len(drawn))).mean
        assert found.value is not None
        assert found.standard_error is not None
        means.append(found.value)
        errors.append(found.standard_error)
    ratio = np.sqrt(np.mean(np.square(errors))) / np.std(means, ddof=1)
    assert 0.85 < ratio < 1.15
