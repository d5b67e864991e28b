"""g, E, E_MCHN and the k nearest patterns of many queries, from one pass over the patterns.

A tile of products gives rounded squared distances D. Running shifted sums over D give E at every β, those over the
lifted D' = D + M² − ‖ρ‖² give E_MCHN at every β (service/theory/energy.py). The pairs that decide, the nearest and the
heaviest of each query, are then measured in float64 by direct subtraction from the stored rows, and take the place of
their rounded values in the sums. What is left of the rounding, (share of the sum not settled) × (bound on D), is
returned with the energies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from service.theory.energy import check_beta
from workers.energy.candidates import BLOCK, Candidates, Chosen
from workers.energy.patterns import Patterns, Tile, squared_norms
from workers.energy.soft_minimum import SoftMinima
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.preparing import Means
from workers.neighbors.settling import pair_distances
from workers.neighbors.stored import CentredRows, StoredRows

Array = np.ndarray
Tick = Callable[[float], None]
MAX_NEAREST = 64
_QUERIES = {"cpu": 1024, "cuda": 8192}
_TILE_NUMBERS = {"cpu": 2**21, "cuda": 2**26}
_WEIGHTLESS = 16.0  # exp(−16) of the heaviest: below it a rounded term does as well as a settled one


@dataclass(frozen=True)
class Energies:
    """Of q queries; float64 and int64.

    Attributes:
        distances, ids: (q, k) the nearest patterns, nearest first, ties by the smaller id; inf and −1 beyond d.
        energy, energy_mchn: (len(betas), q).
        error: (len(betas), q) rigorous bound on the rounding of `energy`; what direct float64 sums would lose aside.
        patterns: how many count for each query: d, or d − 1 where one is left out.
        spread: (q,) Δ = max ‖ρ‖² − min ‖ρ‖² over those.
        exact_rows: queries whose neighbours came from the exact engine because too many were in doubt.
    """

    betas: list[float]
    distances: Array
    ids: Array
    energy: Array
    energy_mchn: Array
    error: Array
    patterns: Array
    spread: Array
    exact_rows: int

    @property
    def g(self) -> Array:
        """(q,) squared distance to the nearest pattern, eq. (3)."""
        return self.distances[:, 0] ** 2


def evaluate(
    patterns: Patterns,
    queries: StoredRows,
    betas: Sequence[float] = (1.0,),
    *,
    mchn: bool = True,
    k: int = 1,
    own: Array | None = None,
    tick: Tick = lambda share: None,
) -> Energies:
    """Energies of every query among the patterns.

    Args:
        queries: (q, n) points.
        betas: inverse temperatures, for E and E_MCHN alike.
        mchn: False saves the pass over the lifted distances; `energy_mchn` is then empty.
        k: nearest patterns returned, 1 to 64.
        own: (q,) id of the pattern that a query is itself and that is left out, or −1; None: none is.
        tick: told the share done, after each tile; what it raises ends the work.

    Raises:
        InvalidInput: β, k or the dimensions are wrong, or leaving one out leaves none.
        NonFiniteData: a query is not finite.
    """
    betas = [check_beta(beta) for beta in betas]
    left_out = np.full(len(queries), -1) if own is None else np.asarray(own, dtype=np.int64)
    _check(patterns, queries, k, left_out)
    block = _QUERIES[patterns.device.type]
    rows, parts = patterns.centred(queries), []
    for ids in torch.arange(len(queries)).split(block):
        work = _Block(patterns, rows, ids, betas, mchn, min(k, len(patterns)), torch.from_numpy(left_out)[ids])
        work.run(partial(_tick_block, tick, ids, len(queries)))
        parts.append(work.finish())
    return _joined(betas, k, parts)


def _tick_block(tick: Tick, ids: Tensor, queries: int, share: float) -> None:
    tick((int(ids[0]) + share * len(ids)) / queries)


def _check(patterns: Patterns, queries: StoredRows, k: int, own: Array) -> None:
    if queries.d != patterns.rows.d:
        raise InvalidInput(f"queries have {queries.d} dimensions, the patterns {patterns.rows.d}", field="queries")
    if not 1 <= k <= MAX_NEAREST:
        raise InvalidInput(f"k must be from 1 to {MAX_NEAREST}, not {k}", field="k")
    if len(patterns) < 2 and (own >= 0).any():
        raise InvalidInput("leaving a row out leaves no pattern; two are needed", field="activations")


class _Block:
    """Some queries, from the first tile to their energies."""

    def __init__(
        self, patterns: Patterns, rows: CentredRows, ids: Tensor, betas: list[float], mchn: bool, k: int, own: Tensor
    ) -> None:
        self.patterns, self.rows, self.ids, self.betas, self.k, self.own = patterns, rows, ids, betas, k, own
        self.queries = patterns.take(rows, ids)
        self.norms_sq = squared_norms(self.queries)
        self.norms = self.norms_sq.sqrt().to(patterns.precision)
        self.scale_sq = patterns.scale**2
        scaled = [beta / self.scale_sq for beta in betas]
        flattest = min(scaled, default=1.0)
        m, d, device = len(ids), len(patterns), patterns.device
        self.plain = SoftMinima(m, scaled, self.queries, d)
        self.near = Candidates(m, k, _WEIGHTLESS / flattest, device)
        self.lifted = SoftMinima(m, [beta / 2 for beta in scaled] if mchn else [], self.queries, d)
        self.near_lifted = Candidates(m, 1, 2 * _WEIGHTLESS / flattest, device) if mchn else None

    def run(self, tick: Tick) -> None:
        """Go over all tiles."""
        d = len(self.patterns)
        width = max(BLOCK, _TILE_NUMBERS[self.patterns.device.type] // max(1, len(self.ids)) // BLOCK * BLOCK)
        scratch = torch.empty(0, dtype=self.patterns.precision, device=self.patterns.device)
        for start in range(0, d, width):
            tile = self.patterns.tile(start, start + width)
            values = self._values(tile)
            if scratch.shape != values.shape:
                scratch = torch.empty_like(values)
            self._add(tile, values, scratch)
            tick(min(1.0, (start + width) / d))

    def _values(self, tile: Tile) -> Tensor:
        """(m, P) squared distances less ‖x‖², padded to whole blocks; inf for a query's own pattern and padding."""
        count = len(tile.norms_sq)
        product = torch.addmm(tile.norms_sq, self.queries, tile.rows.T, alpha=-2.0)
        if count % BLOCK:
            product = torch.nn.functional.pad(product, (0, BLOCK - count % BLOCK), value=torch.inf)
        mine = torch.nonzero((self.own >= tile.start) & (self.own < tile.start + count))[:, 0]
        product[mine, (self.own[mine] - tile.start).to(product.device)] = torch.inf
        return product

    def _add(self, tile: Tile, values: Tensor, scratch: Tensor) -> None:
        longest = _block_maxima(tile.norms_sq.sqrt())
        slack = self.patterns.gamma * (self.norms[:, None] + longest).square()
        minima = values.view(len(values), -1, BLOCK).amin(dim=2)
        self.near.add(values, minima, slack, tile.start)
        self.plain.add(values, minima, scratch)
        if self.near_lifted is not None:
            lifts = torch.nn.functional.pad(tile.lifts, (0, values.shape[1] - len(tile.lifts)))
            values += lifts
            slack = slack + 4 * self.patterns.unit * (
                _block_maxima(tile.lifts) + (self.norms[:, None] + longest).square()
            )
            minima = values.view(len(values), -1, BLOCK).amin(dim=2)
            self.near_lifted.add(values, minima, slack, tile.start)
            self.lifted.add(values, minima, scratch)

    def finish(self) -> Energies:
        """Settle the chosen pairs and put their true values into the sums."""
        settled = _Settled(self, self.near.chosen(), lifted=False)
        distances, ids = settled.nearest(self.k)
        crowded = torch.nonzero(self.near.crowded.cpu())[:, 0]
        if len(crowded):
            distances[crowded.numpy()], ids[crowded.numpy()] = self._search_exactly(crowded)
        least_sq = torch.from_numpy(distances[:, 0]).square() * self.scale_sq
        energy, share = settled.soft_minima(self.plain, least_sq)
        count = len(self.patterns) - (self.own >= 0).long()
        low, high = self._remaining_lifts()
        mchn = torch.empty((0, len(self.ids)), dtype=torch.float64)
        if self.near_lifted is not None:
            settled = _Settled(self, self.near_lifted.chosen(), lifted=True)
            soft, _ = settled.soft_minima(self.lifted, settled.least())
            constants = torch.log(count.double()) / torch.tensor(self.betas, dtype=torch.float64)[:, None]
            mchn = (soft - low / self.scale_sq) / 2 + constants
        return Energies(
            betas=self.betas,
            distances=distances,
            ids=ids,
            energy=energy.numpy(),
            energy_mchn=mchn.numpy(),
            error=(share * self._rounding(least_sq)).numpy(),
            patterns=count.numpy(),
            spread=((high - low) / self.scale_sq).numpy(),
            exact_rows=len(crowded),
        )

    def _rounding(self, least_sq: Tensor) -> Tensor:
        """(len(betas), q) bound on the rounding of D, and of exp(−βD), for every pattern that weighs anything."""
        scaled = torch.tensor(self.betas, dtype=torch.float64)[:, None] / self.scale_sq
        reach = (least_sq + 2 * _WEIGHTLESS / scaled).sqrt()
        of_distances = self.patterns.gamma * (2 * self.norms.double().cpu() + reach).square()
        return (of_distances + 4 * _WEIGHTLESS * self.patterns.unit / scaled) / self.scale_sq

    def _remaining_lifts(self) -> tuple[Tensor, Tensor]:
        """(m,) the smallest and the largest lift of the patterns that count for each query."""
        if self.near_lifted is None:
            return torch.zeros(len(self.ids), dtype=torch.float64), torch.zeros(len(self.ids), dtype=torch.float64)
        own = torch.where(self.own >= 0, self.patterns.lifts[self.own.clamp(min=0)], torch.nan)
        small, large = self.patterns.two_extremes
        return (torch.where(own == both[0], both[-1], both[0]) for both in (small, large))  # pyright: ignore

    def _search_exactly(self, places: Tensor) -> tuple[Array, Array]:
        stored, ids = self.patterns.stored, np.arange(len(self.patterns))
        asking = StoredRows(self.rows.stored.take(self.ids[places]).numpy())
        found, _ = exact_neighbors(
            stored, ids, [len(ids)], k=self.k, codes=ids, queries=asking, query_codes=self.own[places].numpy(),
            means=Means(device=self.patterns.device),
        )  # fmt: skip
        return found[0].distances, found[0].ids


class _Settled:
    """Chosen pairs and their true values, scaled, as the sums have them: with ‖x‖², and lifted where `lifted`."""

    def __init__(self, block: _Block, chosen: Chosen, *, lifted: bool) -> None:
        self.block, self.chosen = block, chosen
        patterns, rows = block.patterns, block.rows.stored
        self.distances = pair_distances(rows, patterns.stored, block.ids[chosen.queries], chosen.ids)
        self.values = self.distances.square() * block.scale_sq
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
        distances = np.full((len(self.block.ids), k), np.inf)
        found = np.full((len(self.block.ids), k), -1, dtype=np.int64)
        distances[query[kept], rank[kept]], found[query[kept], rank[kept]] = gaps[kept], ids[kept]
        return distances, found

    def least(self) -> Tensor:
        """(m,) the smallest true value; the rounded one where none was chosen."""
        sums = self.block.lifted
        rounded = sums.least.double().cpu() + self.block.norms_sq.cpu()
        true = torch.full_like(rounded, torch.inf).scatter_reduce(0, self.chosen.queries, self.values, "amin")
        return torch.where(torch.isfinite(true), true, rounded)

    def soft_minima(self, sums: SoftMinima, least: Tensor) -> tuple[Tensor, Tensor]:
        """(len(betas), m) soft minima in the queries' own scale, and the share of each sum that is not settled.

        Args:
            least: (m,) the true smallest value, to which the sums are shifted.
        """
        rounded_least = sums.least.double().cpu()
        lag = (rounded_least + self.block.norms_sq.cpu() - least).clamp(min=0.0)
        query = self.chosen.queries
        found, shares = [], []
        for beta, total in zip(sums.betas, sums.sums.cpu(), strict=True):
            taken = torch.exp(-beta * (self.chosen.values - rounded_least[query]))
            light = (total - torch.zeros_like(total).index_add_(0, query, taken)).clamp(min=0.0)
            light = torch.where(light > self.block.patterns.unit * total, light, 0.0) * torch.exp(-beta * lag)
            true = torch.exp(-beta * (self.values - least[query]))
            heavy = torch.zeros_like(total).index_add_(0, query, true)
            found.append((least - torch.log(heavy + light) / beta) / self.block.scale_sq)
            shares.append(light / (heavy + light))
        if not found:
            nothing = torch.empty((0, len(least)), dtype=torch.float64)
            return nothing, nothing
        return torch.stack(found), torch.stack(shares)


def _block_maxima(values: Tensor) -> Tensor:
    """(P / BLOCK,) the largest of each block of (P,) values, the last padded."""
    padded = torch.nn.functional.pad(values, (0, -len(values) % BLOCK))
    return padded.view(-1, BLOCK).amax(dim=1)


def _joined(betas: list[float], k: int, parts: list[Energies]) -> Energies:
    if not parts:
        none = np.empty((len(betas), 0))
        return Energies(betas, np.empty((0, k)), np.empty((0, k), np.int64), none, none, none, none[0], none[0], 0)
    rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("distances", "ids")}
    sums = {name: np.hstack([getattr(part, name) for part in parts]) for name in ("energy", "energy_mchn", "error")}
    counts = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("patterns", "spread")}
    return Energies(betas=betas, exact_rows=sum(part.exact_rows for part in parts), **rows, **sums, **counts)
