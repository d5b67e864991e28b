"""A block of queries, from the first tile of patterns to its energies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workers.energy.candidates import Candidates
from workers.energy.filter import Filter, FilterTile
from workers.energy.patterns import BLOCK, TILE_NUMBERS, Patterns, squared_norms
from workers.energy.rescoring import RescoredPairs
from workers.energy.self_test import is_fused
from workers.energy.soft_minimum import LEFT_OUT, SoftMinima, cutoff
from workers.energy.tile_scan import Products, Scan, scan_fused, scan_plain
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.stored import CentredRows, StoredRows
from workers.neighbors.ticking import Tick

Array = np.ndarray
_MOST_CROWDED = 0.25  # of the queries of a block that is filtered
_WEIGHTLESS = 16.0  # exp(−16) of the heaviest: below it a rounded term is as good as a rescored one


@dataclass(frozen=True)
class Energies:
    """The energies of q queries; float64 and int64.

    Attributes:
        distances, ids: (q, k) the nearest patterns, nearest first, ties by the smaller id; inf and −1 beyond d.
        energy, energy_mchn: (len(betas), q).
        error: (len(betas), q) rigorous bound on the rounding of `energy`, beyond that of direct float64 sums; at most
            log d / β, since g − log d / β ≤ E ≤ g.
        patterns: (q,) number of patterns of each query: d, or d − 1 where one is left out.
        spread: (q,) Δ = max ‖ρ‖² − min ‖ρ‖² over these patterns.
        crowded: (q,) queries with too many candidates: the exact engine found their neighbours, and float64 products
            gave their sums.
    """

    betas: list[float]
    distances: Array
    ids: Array
    energy: Array
    energy_mchn: Array
    error: Array
    patterns: Array
    spread: Array
    crowded: Array

    @property
    def g(self) -> Array:
        """(q,) squared distance to the nearest pattern, eq. (3)."""
        return self.distances[:, 0] ** 2


class QueryBlock:
    """Some queries, from the first tile to their energies."""

    def __init__(
        self,
        patterns: Patterns,
        rows: CentredRows,
        ids: Tensor,
        betas: list[float],
        mchn: bool,
        k: int,
        own: Tensor,
        filter: Filter | None = None,
    ) -> None:
        self.filter = filter
        self.patterns, self.rows, self.ids, self.betas, self.k, self.own = patterns, rows, ids, betas, k, own
        self.own_places = patterns.places_of(own).to(patterns.device)
        self.queries = patterns.take(rows, ids)
        self.norms_sq = squared_norms(self.queries)
        self.norms = self.norms_sq.sqrt().to(patterns.precision)
        self.scale_sq = patterns.scale**2
        scaled = [beta / self.scale_sq for beta in betas]
        self.fused = is_fused(patterns)
        self.plain = self._scan(scaled, k, lifted=False)
        self.lifted = self._scan([beta / 2 for beta in scaled], 1, lifted=True) if mchn else None

    def _scan(self, betas: list[float], k: int, *, lifted: bool) -> Scan:
        """A scan at inverse temperatures in the scale of its values; after a filter all weight is rescored."""
        m, d, filtered = len(self.ids), len(self.patterns), self.filter is not None
        weightless = cutoff(self.patterns.precision, d) if filtered else _WEIGHTLESS
        heavy = weightless / min(betas, default=1.0)
        near = Candidates(m, d, k, heavy, self.queries, pooled=self.fused, whole=filtered)
        return Scan(SoftMinima(m, betas, self.queries, d), near, lifted)

    def run(self, tick: Tick) -> bool:
        """Go over all tiles.

        Returns:
            False where the filter leaves too many pairs of many queries, and the rest was left out.
        """
        d, scratch = len(self.patterns), None
        scans = [self.plain] if self.lifted is None else [self.plain, self.lifted]
        width = max(BLOCK, TILE_NUMBERS[self.patterns.device.type] // max(1, len(self.ids)) // BLOCK * BLOCK)
        first = 0 if self.filter is None else self.filter.stop
        for start in range(first, d, width):
            places = slice(start, start + width)
            products = Products.of(self.patterns, places, self.queries, self.norms, self.own_places)
            if self.fused:
                for each in scans:
                    scan_fused(each, products)
            else:
                scratch = scan_plain(scans, products, scratch, sums=self.filter is None)
            tick((min(d, start + width) - first) / d)
        # The filter comes last: E_MCHN often has its largest weights at the long patterns.
        if self.filter is None:
            return True
        return self._run_filter(self.filter, scans, width, lambda done: tick(1 - (first - done) / d))

    def _run_filter(self, filter: Filter, scans: Sequence[Scan], width: int, tick: Tick) -> bool:
        """Go over the filter's tiles; False where many queries are crowded. `tick` is given the patterns done."""
        queries = filter.queries(self.queries, self.norms_sq)
        for start in range(0, filter.stop, width):
            stop = min(start + width, len(filter.lifts))
            products = queries.products(start, stop, self.own_places)
            for each in scans:
                if not each.near.add_filtered(FilterTile(queries, products, start, lifted=each.lifted)):
                    return False
            if float(self.crowded.float().mean()) > _MOST_CROWDED:
                return False
            tick(min(stop, filter.stop))
        return True

    @property
    def crowded(self) -> Tensor:
        """(m,) queries with too many candidates; of E_MCHN they matter only where no sums stand in for them."""
        crowded = self.plain.near.crowded
        return crowded if self.lifted is None or self.filter is None else crowded | self.lifted.near.crowded

    def finish(self) -> Energies:
        """Rescore the chosen pairs and put their values into the sums."""
        rescored = self._rescored(self.plain)
        distances, ids = rescored.nearest(self.k)
        crowded = torch.nonzero(self.plain.near.crowded.cpu())[:, 0]
        if len(crowded) and self.patterns.precision == torch.float64:  # with float32 products they are evaluated again
            distances[crowded.numpy()], ids[crowded.numpy()] = self._search_exactly(crowded)
        least_sq = (torch.from_numpy(distances[:, 0]) * self.patterns.scale).square()
        count = len(self.patterns) - (self.own >= 0).long()
        energy, share = rescored.soft_minima(self.plain.sums, least_sq, count)
        widest = torch.log(count.double()) / torch.tensor(self.betas, dtype=torch.float64)[:, None]
        low, high = self._remaining_lifts()
        mchn = torch.empty((0, len(self.ids)), dtype=torch.float64)
        if self.lifted is not None:
            rescored, sums = self._rescored(self.lifted), self.lifted.sums
            soft, _ = rescored.soft_minima(sums, rescored.least(sums), count)
            mchn = (soft - low / self.scale_sq) / 2 + widest
        return Energies(
            betas=self.betas,
            distances=distances,
            ids=ids,
            energy=energy.numpy(),
            energy_mchn=mchn.numpy(),
            error=torch.minimum(share * self._rounding(least_sq) + self._rounding_of_sums(), widest).numpy(),
            patterns=count.numpy(),
            spread=((high - low) / self.scale_sq).numpy(),
            crowded=self.crowded.cpu().numpy(),
        )

    def _rescored(self, scan: Scan) -> RescoredPairs:
        norms_sq, chosen = self.norms_sq.cpu(), scan.near.chosen(self.patterns.ids_in_order)
        return RescoredPairs(self.patterns, self.rows.stored, self.ids, norms_sq, chosen, lifted=scan.lifted)

    def _rounding(self, least_sq: Tensor) -> Tensor:
        """(len(betas), q) bound on the rounding of D, and of exp(−βD), for every pattern that is not weightless."""
        scaled = torch.tensor(self.betas, dtype=torch.float64)[:, None] / self.scale_sq
        reach = (least_sq + 2 * _WEIGHTLESS / scaled).sqrt()
        of_distances = self.patterns.gamma * (2 * self.norms.double().cpu() + reach).square() + self.patterns.absolute
        return (of_distances + 4 * _WEIGHTLESS * self.patterns.unit / scaled) / self.scale_sq

    def _rounding_of_sums(self) -> Tensor:
        """(len(betas), 1) bound on the error of summation, and of leaving out far patterns."""
        lost = 16 * self.patterns.unit + math.exp(-LEFT_OUT[self.patterns.precision])
        return lost / torch.tensor(self.betas, dtype=torch.float64)[:, None]

    def _remaining_lifts(self) -> tuple[Tensor, Tensor]:
        """(m,) the smallest and the largest lift of the patterns of each query."""
        if self.lifted is None:
            return torch.zeros(len(self.ids), dtype=torch.float64), torch.zeros(len(self.ids), dtype=torch.float64)
        own = torch.where(self.own >= 0, self.patterns.lifts[self.own.clamp(min=0)], torch.nan)
        small, large = self.patterns.two_extremes
        return (torch.where(own == both[0], both[-1], both[0]) for both in (small, large))  # pyright: ignore

    def _search_exactly(self, places: Tensor) -> tuple[Array, Array]:
        stored, ids = self.patterns.stored, np.arange(len(self.patterns))
        queries, codes = StoredRows(self.rows.stored.take(self.ids[places]).numpy()), self.own[places].numpy()
        question = Question(stored, ids, [len(ids)], self.k, ids, queries, codes)
        found, _ = exact_neighbors(question, SearchOptions(device=self.patterns.device))
        return found[0].distances, found[0].ids
