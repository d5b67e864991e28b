from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom, chi2

from tests.corpora.tokens import by_character
from workers.corpora.documents import Document
from workers.corpora.sampling import Chunk, SamplingRule, draw_sample

SEEDS = 600
UNLIKELY = 1e-4
LENGTHS = [1, 2, 3, 5, 8, 13, 40]
DOCUMENTS = [Document(f"{number}.txt", "x" * (4 * LENGTHS[number % 7])) for number in range(70)]


def samples(documents: list[Document], chunks: int, per_document: int | None, count: int = SEEDS) -> list[list[Chunk]]:
    rules = [SamplingRule(4, chunks, per_document, seed) for seed in range(count)]
    return [draw_sample(documents, by_character, rule).chunks for rule in rules]


def chance_of_inclusions(observed: np.ndarray, draws: int, rate: float) -> float:
    """The probability of counts at least as uneven if each is in a draw with the same rate."""
    scale = draws * rate * (1 - rate)
    statistic = ((observed - draws * rate) ** 2).sum() / scale * (1 - 1 / len(observed))
    return float(chi2.sf(statistic, len(observed) - 1))


def chance_of_places(places: list[int], possible: int) -> float:
    expected = len(places) / possible
    statistic = ((np.bincount(places, minlength=possible) - expected) ** 2).sum() / expected
    return float(chi2.sf(statistic, possible - 1))


@pytest.fixture(scope="module")
def one_each() -> list[list[Chunk]]:
    return samples(DOCUMENTS, 14, 1)


def test_each_document_is_as_likely_as_any_other(one_each: list[list[Chunk]]):
    counts = Counter(chunk.document for sample in one_each for chunk in sample)
    observed = np.array([counts[document.id] for document in DOCUMENTS])
    assert chance_of_inclusions(observed, SEEDS, 14 / 70) > UNLIKELY


def test_long_documents_are_not_preferred(one_each: list[list[Chunk]]):
    long = {document.id for document in DOCUMENTS if len(document.text) == 4 * 40}
    hits, draws = sum(chunk.document in long for sample in one_each for chunk in sample), SEEDS * 14
    assert UNLIKELY < binom.cdf(hits, draws, 1 / 7) < 1 - UNLIKELY


@pytest.mark.parametrize("length", [2, 3, 5, 8, 13, 40])
def test_each_place_in_a_document_is_as_likely_as_any_other(one_each: list[list[Chunk]], length: int):
    of_length = {document.id for document in DOCUMENTS if len(document.text) == 4 * length}
    places = [chunk.index for sample in one_each for chunk in sample if chunk.document in of_length]
    assert chance_of_places(places, length) > UNLIKELY


def test_the_first_of_a_sample_are_as_evenly_spread_over_places(one_each: list[list[Chunk]]):
    of_length = {document.id for document in DOCUMENTS if len(document.text) == 4 * 5}
    places = [chunk.index for sample in one_each for chunk in sample[:5] if chunk.document in of_length]
    assert chance_of_places(places, 5) > UNLIKELY


def test_with_all_chunks_each_chunk_is_as_likely_as_any_other():
    documents, total = DOCUMENTS[:14], 2 * sum(LENGTHS)
    counts = Counter((c.document, c.index) for sample in samples(documents, 20, None) for c in sample)
    everything = [(document.id, place) for document in documents for place in range(len(document.text) // 4)]
    observed = np.array([counts[chunk] for chunk in everything])
    assert len(everything) == total
    assert chance_of_inclusions(observed, SEEDS, 20 / total) > UNLIKELY


def test_with_two_each_a_document_of_many_chunks_is_twice_as_likely_as_one_of_one():
    documents = [Document(f"{number}.txt", "x" * (4 * (1 + 9 * (number % 2)))) for number in range(40)]
    chunks = [chunk for sample in samples(documents, 12, 2) for chunk in sample]
    of_long = sum(int(chunk.document.removesuffix(".txt")) % 2 for chunk in chunks)
    assert UNLIKELY < binom.cdf(of_long, len(chunks), 2 / 3) < 1 - UNLIKELY


def test_pairs_of_places_of_one_document_are_even():
    draws = samples([Document("a", "x" * 4 * 6)], 2, 2, count=3000)
    pairs = Counter(frozenset(chunk.index for chunk in sample) for sample in draws)
    assert len(pairs) == 15
    assert (
        chance_of_places([number for number, count in enumerate(pairs.values()) for _ in range(count)], 15) > UNLIKELY
    )
