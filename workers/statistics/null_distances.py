"""Nearest-neighbour distances under a null model, and the observed ones in units of them.

The ratio of the observed mean to the null's holds three errors: the data's own, by documents; that of the finite number
of draws; and a bias, because the model's parameters are estimated from the rows themselves. The bias is measured by a
null of the null: a model fitted to a draw of the null, and the ratio of the draw's mean to that of its own draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from workers.devices.seeding import seed_sequence
from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.sampling import spread
from workers.neighbors.stored import StoredRows
from workers.statistics.estimate import Estimate, student
from workers.statistics.null_models import NullModel

Array = np.ndarray
NO_OBSERVED_ERROR = "the observed mean has no error"
NO_DISTANCE = "the observed mean is 0"


@dataclass(frozen=True)
class NullDraws:
    """The draws of a null model.

    Attributes:
        draws: number of sets, from 2.
        queries: rows of each set whose nearest other row is sought; evenly spread over the rows.
        seed: seed of the streams; each model has its own `stream`.
    """

    draws: int
    queries: int
    seed: int
    stream: int

    def generator(self, draw: int, *, again: bool) -> np.random.Generator:
        """The stream of one draw, or of the draw of the model fitted to it."""
        place = (self.stream * self.draws + draw) * 2 + again
        return np.random.Generator(np.random.PCG64(seed_sequence(self.seed, place)))


@dataclass(frozen=True)
class NullDistances:
    """Distances of all draws together.

    Attributes:
        distances: (draws · queries,) that are finite.
        means: (draws,) mean distance in each draw.
        refitted: (draws,) mean distance in a draw of the model fitted to that draw.
    """

    distances: Array
    means: Array
    refitted: Array

    @property
    def mean(self) -> float:
        """Mean over the draws."""
        return float(self.means.mean())

    @property
    def standard_error(self) -> float:
        """Monte-Carlo error of `mean`."""
        return _error(self.means)

    @property
    def bias(self) -> float:
        """Mean of a draw over that of its own null: the ratio that data without further structure have."""
        return float(np.exp(np.log(self.means / self.refitted).mean()))

    def ratio(self, observed: Estimate) -> Estimate:
        """Observed mean over the null's."""
        return self._ratio(observed, np.log(self.means))

    def unbiased_ratio(self, observed: Estimate) -> Estimate:
        """The same over `bias`."""
        return self._ratio(observed, 2 * np.log(self.means) - np.log(self.refitted))

    def _ratio(self, observed: Estimate, log_null: Array) -> Estimate:
        """Observed mean / exp(mean of log_null), with an interval that is symmetric on the logarithmic scale.

        Its half-width is that of the data's interval, and Student's of the draws, added in squares.
        """
        if observed.value is None or observed.value <= 0:
            return Estimate.missing(observed.reason or NO_DISTANCE)
        value = observed.value / math.exp(float(log_null.mean()))
        if observed.standard_error is None or observed.interval is None:
            return Estimate.alone(value, observed.reason or NO_OBSERVED_ERROR)
        error, of_null = observed.standard_error / observed.value, _error(log_null)
        half = math.hypot(observed.interval[1] / observed.value - 1, student(len(log_null) - 1) * of_null)
        return Estimate(value, value * math.hypot(error, of_null), (value * math.exp(-half), value * math.exp(half)))


@dataclass(frozen=True)
class NullRows:
    """A null model of one set, and what its rows are compared with.

    Attributes:
        codes: (N,) rows of equal code are not compared, as in the data's search; None: only a row with itself, and a
            query with all rows of another set.
    """

    model: NullModel
    codes: Array | None = None

    def refitted(self, rows: Array) -> NullRows:
        """The same kind of model, of a draw."""
        return replace(self, model=self.model.refit(rows))


def null_distances(
    database: NullRows,
    asked: NullRows | None,
    draws: NullDraws,
    options: SearchOptions = SearchOptions(),
    tick: Callable[[float], None] = lambda share: None,
) -> NullDistances:
    """Draw, search, fit the draw, draw of that and search again, `draws.draws` times.

    Args:
        asked: the queries, where they are of another set, which has a model of its own; None: the rows themselves.
        tick: called with the share that is done.
    """
    found = list[Array]()
    means, refitted = np.empty(draws.draws), np.empty(draws.draws)
    for draw in range(draws.draws):
        first, again = (draws.generator(draw, again=second) for second in (False, True))
        rows, queries = database.model.draw(first), None if asked is None else asked.model.draw(first)
        distances = _nearest(rows, database.codes, queries, asked, draws.queries, options)
        rows = database.refitted(rows).model.draw(again)
        if asked is not None and queries is not None:
            queries = asked.refitted(queries).model.draw(again)
        found.append(distances)
        means[draw] = distances.mean()
        refitted[draw] = _nearest(rows, database.codes, queries, asked, draws.queries, options).mean()
        tick((draw + 1) / draws.draws)
    return NullDistances(np.concatenate(found), means, refitted)


def lists_of_draw(
    model: NullModel, codes: Array | None, k: int, generator: np.random.Generator, options: SearchOptions
) -> Neighbors:
    """The k nearest other rows of every row of one draw."""
    rows = model.draw(generator)
    (answer,), _ = exact_neighbors(Question.of_all_rows(StoredRows(rows), k, codes), options)
    return answer


def _nearest(
    rows: Array, codes: Array | None, queries: Array | None, asked: NullRows | None, most: int, options: SearchOptions
) -> Array:
    """The finite nearest-neighbour distances of `most` queries, or of rows among themselves, evenly spread."""
    stored = StoredRows(rows)
    question = Question.of_all_rows(stored, 1, codes)
    if asked is not None and queries is not None:
        chosen = _spread(len(queries), most)
        own = None if asked.codes is None else asked.codes[chosen]
        question = replace(question, queries=StoredRows(queries[chosen]), query_codes=own)
    elif most < len(rows):
        chosen = _spread(len(rows), most)
        own = np.arange(len(rows)) if codes is None else codes
        question = replace(question, codes=own, queries=StoredRows(rows[chosen]), query_codes=own[chosen])
    (answer,), _ = exact_neighbors(question, options)
    distances = answer.distances[:, 0]
    return distances[np.isfinite(distances)]


def _spread(rows: int, most: int) -> Array:
    return spread(torch.arange(rows), most).numpy()


def _error(values: Array) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))
