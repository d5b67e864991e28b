"""Chosen pairs rescored in float64, and the sums with these values."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workers.energy.candidates import Chosen
from workers.energy.patterns import Patterns
from workers.energy.soft_minimum import SoftMinima
from workers.neighbors.rescoring import pair_distances
from workers.neighbors.stored import StoredRows

Array = np.ndarray


class RescoredPairs:
    """The float64 values of chosen pairs of m queries, in the scale of the sums: with ‖x‖², and lifted where `lifted`.

    Args:
        ids: (m,) row of `queries` for each query index of the pairs.
        norms_sq: (m,) float64 ‖x‖² of the rounded queries.
    """

    def __init__(
        self, patterns: Patterns, queries: StoredRows, ids: Tensor, norms_sq: Tensor, chosen: Chosen, *, lifted: bool
    ) -> None:
        self.chosen, self.norms_sq, self.scale_sq = chosen, norms_sq, patterns.scale**2
        self.unit = patterns.unit
        self.distances = pair_distances(queries, patterns.stored, ids[chosen.queries], chosen.ids)
        self.values = (self.distances * patterns.scale).square()
        if lifted:
            self.values += patterns.lifts[chosen.ids]

    def nearest(self, k: int) -> tuple[Array, Array]:
        """(m, k) distances and ids, nearest first."""
        query, ids = self.chosen.queries.numpy(), self.chosen.ids.numpy()
        gaps = self.distances.numpy()
        order = np.lexsort((ids, gaps, query))
        query, ids, gaps = query[order], ids[order], gaps[order]
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        kept = rank < k
        distances = np.full((len(self.norms_sq), k), np.inf)
        found = np.full((len(self.norms_sq), k), -1, dtype=np.int64)
        distances[query[kept], rank[kept]], found[query[kept], rank[kept]] = gaps[kept], ids[kept]
        return distances, found

    def least(self, sums: SoftMinima) -> Tensor:
        """(m,) the smallest rescored value; the smallest rounded value where no pair was chosen."""
        rounded = sums.least.double().cpu() + self.norms_sq
        true = torch.full_like(rounded, torch.inf).scatter_reduce(0, self.chosen.queries, self.values, "amin")
        return torch.where(torch.isfinite(true), true, rounded)

    def soft_minima(self, sums: SoftMinima, least: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """(len(betas), m) soft minima in the queries' own scale, and the share of each sum that is not rescored.

        Args:
            least: (m,) the true smallest value, to which the sums are shifted.
            count: (m,) number of values of each query; a sum lies between 1 and that.
        """
        rounded_least = sums.least.double().cpu()
        lag = rounded_least + self.norms_sq - least  # below 0 where the smallest value was rounded down
        query = self.chosen.queries
        found, shares = [], []
        for beta, used, total in zip(sums.betas, sums.used, sums.sums.cpu(), strict=True):
            taken = torch.exp(-used * (self.chosen.values - rounded_least[query]))
            light = (total - torch.zeros_like(total).index_add_(0, query, taken)).clamp(min=0.0)
            light = torch.where(light > self.unit * total, light, 0.0) * torch.exp(-(beta * lag).clamp(min=-1.0))
            true = torch.exp(-beta * (self.values - least[query]))
            heavy = torch.zeros_like(total).index_add_(0, query, true)
            whole = torch.minimum((heavy + light).clamp(min=1.0), count)
            found.append((least - torch.log(whole) / beta) / self.scale_sq)
            shares.append((light / whole).clamp(max=1.0))
        if not found:
            nothing = torch.empty((0, len(least)), dtype=torch.float64)
            return nothing, nothing
        return torch.stack(found), torch.stack(shares)
