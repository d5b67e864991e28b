"""The statistics of a radius report, from the lists of neighbours of its search; what they need besides is searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from service.artifacts.statistics import RunningStatistics
from service.settings import Settings
from workers.flows.radius.nulls import FittedRows
from workers.flows.radius.search import FEW, Found, SetSearch
from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.nested import nested_answers
from workers.neighbors.null_model import principal_deviations
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.statistics.coverage import Coverage, coverage
from workers.statistics.documents import Documents
from workers.statistics.estimate import Estimate
from workers.statistics.intrinsic_dimension import IntrinsicDimension, intrinsic_dimension
from workers.statistics.lists import NearestOfTwoDocuments, NeighborLists
from workers.statistics.loss import LossByDistance, loss_by_distance
from workers.statistics.mean_and_median import (
    MedianDifference,
    Uncertainty,
    median_difference,
    nn_uncertainty,
    paired_difference,
    uncertainty_of_queries,
)
from workers.statistics.nearest_documents import nearest_of_two_documents
from workers.statistics.neighborhood import Neighborhood, SameClass, neighborhood
from workers.statistics.sample_size import ShrinkLaw, Subsample, disjoint_subsamples, shrink_law
from workers.statistics.scale import Scale, scale
from workers.statistics.split import halves_of_documents
from workers.statistics.transforms import transform

Array = np.ndarray
NO_LOSSES = "the set was extracted without loss: true"
EXCLUDED = "rows of the same document are excluded"
Beat = Callable[[], None]


@dataclass(frozen=True)
class FractionErrors:
    """Errors of each fraction's mean and median, and the differences of both to those of the largest.

    Attributes:
        documents_known: False where each row counts as a document.
        of_queries: the rows were searched in a reference, given which the errors are.
    """

    uncertainties: list[Uncertainty]
    differences: Sequence[Estimate | None]
    median_differences: Sequence[MedianDifference | None]
    documents_known: bool
    of_queries: bool


@dataclass(frozen=True)
class Variant:
    """Transformed rows: their dimension, and the neighbours in each fraction."""

    name: str
    d: int
    parts: list[Neighbors]
    scale: Scale


@dataclass(frozen=True)
class Split:
    """Distances of half of the documents to the other half.

    Attributes:
        uncertainty: errors over the queries, with their number and that of their documents.
    """

    uncertainty: Uncertainty
    queries: int
    database: int
    database_documents: int
    documents_known: bool

    @classmethod
    def missing(cls, reason: str, documents_known: bool) -> Split:
        """No halves, for this reason."""
        nothing = Estimate.missing(reason)
        return cls(Uncertainty(nothing, nothing, None, 0, 0), 0, 0, 0, documents_known)


class SetStatistics:
    """The statistics of one search, each computed on first use.

    Args:
        beat: called between steps, and often within long ones.
    """

    def __init__(self, sets: SetSearch, found: Found, settings: Settings, beat: Beat) -> None:
        self.sets, self.found, self.settings, self.beat = sets, found, settings, beat
        self.question, self.options = sets.question, sets.options(settings)

    @cached_property
    def _codes(self) -> Array:
        """(n,) document of each row of the database; each row is its own where the set has none."""
        codes = self.sets.database.document_codes()
        return np.arange(len(self.question.database)) if codes is None else codes

    @property
    def _documents_known(self) -> bool:
        return self.sets.database.has_text

    @property
    def _whole(self) -> Neighbors:
        """The lists of the largest fraction."""
        return self.found.lists[-1]

    def of_fractions(self) -> FractionErrors:
        """Errors by document jackknife; of queries in a reference, by their documents, given the reference."""
        if not self.sets.within:
            codes = self.sets.queries.document_codes()
            documents = Documents.of(codes, self.sets.query_rows)
            found = [uncertainty_of_queries(part.distances[:, 0], documents) for part in self.found.parts]
            none = [None] * len(found)
            return FractionErrors(found, none, none, codes is not None, of_queries=True)
        nearest = self._nearest_of_fractions
        sizes, whole = self.question.sizes, self._documents(self._whole.rows)
        rows = [np.arange(size) for size in sizes]
        uncertainties = [nn_uncertainty(part, whole.take(at)) for part, at in zip(nearest, rows, strict=True)]
        pairs = [(part, at, nearest[-1], rows[-1], whole) for part, at in zip(nearest[:-1], rows[:-1], strict=True)]
        means, medians = [paired_difference(*pair) for pair in pairs], [median_difference(*pair) for pair in pairs]
        return FractionErrors(uncertainties, [*means, None], [*medians, None], self._documents_known, of_queries=False)

    def dimension(self) -> IntrinsicDimension:
        """The intrinsic dimension of the largest fraction."""
        return intrinsic_dimension(self._lists(self._whole))

    def neighborhood(self) -> Neighborhood:
        """The neighbourhood statistics of the largest fraction."""
        rows, tokens = self._whole.rows, self.sets.database.last_tokens()
        found = neighborhood(self._lists(self._whole), None if tokens is None else tokens[rows])
        if self.question.codes is None:
            return found
        return replace(found, same_document=SameClass(None, found.same_document.chance, EXCLUDED))

    def sample_size(self) -> ShrinkLaw:
        """The law through disjoint subsamples of the largest fraction, whose neighbours the lists have."""
        rows = self._whole.rows
        subsamples = []
        for at in disjoint_subsamples(self._documents(rows), self.sets.spec.seed):
            self.beat()
            subsamples.append(self._subsample(rows[at]))
        return shrink_law(subsamples, self.sets.spec.extrapolate_to)

    def loss(self) -> LossByDistance:
        """The losses of the largest fraction's rows beside their distances; a reason where the set has none."""
        losses, rows = self.sets.database.losses(), self._whole.rows
        if losses is None:
            return LossByDistance(Estimate.missing(NO_LOSSES), None, 0, NO_LOSSES)
        return loss_by_distance(self._nearest_of_fractions[-1], losses[rows], self._documents(rows))

    def coverage(self) -> Coverage:
        """The coverage of the queries by the reference's largest fraction, beside that of its own rows."""
        own = replace(self.question, sizes=self.question.sizes[-1:], k=FEW, queries=None, query_codes=None)
        (found,), _ = exact_neighbors(own, self.options)
        self.beat()
        reference = nearest_of_two_documents(own, found, self._codes, self.options)
        positions = np.zeros(len(self.question.database) + 1, dtype=np.int64)
        positions[found.rows] = np.arange(len(found.rows))
        asked, codes = self.found.parts[-1], self.sets.queries.document_codes()
        documents = Documents.of(codes, len(asked.rows))
        return coverage(
            asked.distances[:, 0], positions[asked.ids[:, 0]], documents, reference, self._documents(found.rows)
        )

    def deviations(self) -> Array:
        """Standard deviations of the set's rows along the axes of their covariance."""
        rows = self.question.queries or self.question.database
        return principal_deviations(rows, self.sets.queries.mean())

    def fitted(self) -> tuple[FittedRows, FittedRows | None]:
        """The rows of the largest fraction, for null models; and the queries, where they are of another set."""
        order, tokens = self.question.order.numpy(), self.sets.database.last_tokens()
        codes = None if self.question.codes is None else self.question.codes[order]
        of_rows = None if tokens is None else tokens[order]
        database = FittedRows.of(self._rows(), codes, of_rows, self._documents(order))
        if self.question.queries is None:
            return database, None
        queries = self.question.queries.take(self.question.query_ids).numpy()
        documents = Documents.of(self.sets.queries.document_codes(), len(queries))
        given = self.question.query_codes, self.sets.queries.last_tokens(), documents
        return database, FittedRows.of(queries, *given, unit=database.unit)

    def split(self) -> Split:
        """Half of the largest fraction's documents among the other half; None of both where there are no halves."""
        rows = self._whole.rows
        documents = self._documents(rows)
        halves = halves_of_documents(documents, self.sets.spec.seed)
        if isinstance(halves, str):
            return Split.missing(halves, self._documents_known)
        query_rows, database_rows = (np.sort(rows[half]) for half in halves)
        between_halves = Question(
            self.question.database,
            database_rows,
            [len(database_rows)],
            queries=StoredRows(self.question.database.take(torch.from_numpy(query_rows)).numpy()),
        )
        (found,), _ = exact_neighbors(between_halves, self.options, tick=lambda share: self.beat())
        of_queries = self._documents(query_rows)
        error = uncertainty_of_queries(found.distances[:, 0], of_queries)
        database_documents = np.unique(self._codes[database_rows])
        return Split(error, len(query_rows), len(database_rows), len(database_documents), self._documents_known)

    def variants(self) -> list[Variant]:
        """The distances of transformed rows, searched among themselves."""
        return [self._variant(name, transform(self._rows(), name)) for name in self.sets.spec.transforms]

    def _variant(self, name: str, rows: Array) -> Variant:
        d = rows.shape[1]
        if d == 0:  # equal rows, whitened
            parts = [Neighbors.without_any(np.arange(size), 1) for size in self.question.sizes]
            return Variant(name, d, parts, scale(np.zeros(0), 0.0, 0.0, d, None))
        stored, running = StoredRows(rows), RunningStatistics(d)
        running.add(rows)
        codes = None if self.question.codes is None else self.question.codes[self._whole.rows]
        transformed = Question(stored, np.arange(len(rows)), self.question.sizes, 1, codes)
        parts, _ = exact_neighbors(transformed, self.options, tick=lambda share: self.beat())
        measured, deviations = running.summary(), principal_deviations(stored, running.mean)
        found = scale(deviations, measured.norm_mean, measured.top5_share, d, _finite_mean(parts[-1]))
        return Variant(name, d, parts, found)

    @cached_property
    def _nearest_of_fractions(self) -> list[NearestOfTwoDocuments]:
        nearest = []
        for size, lists in zip(self.question.sizes, self.found.lists, strict=True):
            self.beat()
            prefix = replace(self.question, sizes=[size])
            nearest.append(nearest_of_two_documents(prefix, lists, self._codes, self.options))
        return nearest

    def _subsample(self, rows: Array) -> Subsample:
        codes = np.zeros(len(self.question.database), dtype=np.int64)
        documents = Documents.of(self._codes[rows], len(rows))
        codes[rows] = documents.codes
        asked = replace(self.question, permutation=rows, sizes=[len(rows)], k=FEW)
        (found,) = nested_answers(asked, self._whole, self.options)
        return Subsample(nearest_of_two_documents(asked, found, codes, self.options), documents)

    def _documents(self, rows: Array) -> Documents:
        """The documents of some of the database's rows, as `nearest_of_two_documents` numbers them."""
        return Documents(self._codes[rows], int(self._codes.max(initial=-1)) + 1, self._documents_known)

    def _lists(self, found: Neighbors) -> NeighborLists:
        return NeighborLists.of_answer(found.rows, found.distances, found.ids, self._documents(found.rows))

    def _rows(self) -> Array:
        """The rows of the largest fraction, in memory, in the order of its lists."""
        return self.question.database.take(self.question.order).numpy()


def _finite_mean(found: Neighbors) -> float | None:
    distances = found.distances[:, 0]
    there = distances[np.isfinite(distances)]
    return float(there.mean()) if len(there) else None
