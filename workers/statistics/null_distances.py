"""Nearest-neighbour distances under a null model, and the observed ones in units of them.

The ratio of the observed mean to the null's holds three errors: the data's own, by documents; that of the finite number
of draws; and a bias, because the model's parameters are estimated from the rows themselves. The bias is measured by a
null of the null: a model fitted to a draw of the null, and the ratio of the draw's mean to that of its own draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from workers.devices.seeding import seed_sequence
from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.statistics.estimate import Estimate, student
from workers.statistics.null_models import NullModel

Array = np.ndarray
NO_OBSERVED_ERROR = "the observed mean has no error"
NO_DISTANCE = "the observed mean is 0"


@dataclass(frozen=True)
class NullDraws:
    """How a null model is drawn.

    Attributes:
        draws: number of sets, from 2.
        queries: rows of each set whose nearest other row is sought; evenly spread over the rows.
        seed: of the streams; each model has its own `stream`.
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


def null_distances(
    model: NullModel,
    codes: Array | None,
    draws: NullDraws,
    options: SearchOptions = SearchOptions(),
    tick: Callable[[float], None] = lambda share: None,
) -> NullDistances:
    """Draw, search, fit the draw, draw of that and search again, `draws.draws` times.

    Args:
        codes: (N,) rows of equal code are not compared, as in the data's search; None: only a row with itself.
        tick: called with the share that is done.
    """
    found = list[Array]()
    means, refitted = np.empty(draws.draws), np.empty(draws.draws)
    for draw in range(draws.draws):
        rows = model.draw(draws.generator(draw, again=False))
        distances = _nearest(rows, codes, draws.queries, options)
        again = model.refit(rows).draw(draws.generator(draw, again=True))
        found.append(distances)
        means[draw], refitted[draw] = distances.mean(), _nearest(again, codes, draws.queries, options).mean()
        tick((draw + 1) / draws.draws)
    return NullDistances(np.concatenate(found), means, refitted)


def lists_of_draw(
    model: NullModel, codes: Array | None, k: int, generator: np.random.Generator, options: SearchOptions
) -> Neighbors:
    """The k nearest other rows of every row of one draw."""
    rows = model.draw(generator)
    (answer,), _ = exact_neighbors(Question.of_all_rows(StoredRows(rows), k, codes), options)
    return answer


def _nearest(rows: Array, codes: Array | None, queries: int, options: SearchOptions) -> Array:
    """The finite nearest-neighbour distances of some rows."""
    stored = StoredRows(rows)
    question = Question.of_all_rows(stored, 1, codes)
    if queries < len(rows):
        chosen = np.linspace(0, len(rows), queries, endpoint=False).astype(np.int64)
        own = np.arange(len(rows)) if codes is None else codes
        few = StoredRows(stored.take(torch.from_numpy(chosen)).numpy())
        question = Question(stored, np.arange(len(rows)), [len(rows)], 1, own, few, own[chosen])
    (answer,), _ = exact_neighbors(question, options)
    distances = answer.distances[:, 0]
    return distances[np.isfinite(distances)]


def _error(values: Array) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))
