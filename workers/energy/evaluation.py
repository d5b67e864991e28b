"""g, E, E_MCHN and the k nearest patterns of many queries, from one pass over the patterns.

A tile of products gives rounded squared distances D. Running shifted sums over D give E at every β, those over the
lifted D' = D + M² − ‖ρ‖² give E_MCHN at every β (service/theory/energy.py). The nearest pairs of each query, and those
of most weight, are then rescored in float64 by direct subtraction of the stored rows, and the sums are corrected by
these values. The remaining rounding error, at most (share of the sum not rescored) × (bound on D), is returned with
the energies.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput, NonFiniteData
from service.norms import LONGEST_SQUARED, SMALLEST_NORMAL
from service.theory.energy import check_beta
from workers.energy.filter import Filter, filter_pays
from workers.energy.patterns import Patterns
from workers.energy.query_block import Energies, QueryBlock
from workers.neighbors.stored import StoredRows, row_norms
from workers.neighbors.threads import in_threads, threads_on
from workers.neighbors.ticking import Tick

Array = np.ndarray
MAX_NEAREST = 64
_QUERIES = {"cpu": 512, "cuda": 8192}
_FILTERED_PATTERNS, _FILTERED_QUERIES, _PROBED = 4096, 256, 64
_BLOCK_ROWS = 512  # rows that stay in the cache
_FAR = {torch.float32: 2.0**40, torch.float64: 2.0**480}  # scaled norms whose squares are far from the largest number


def evaluate(
    patterns: Patterns,
    queries: StoredRows,
    betas: Sequence[float] = (1.0,),
    *,
    mchn: bool = True,
    k: int = 1,
    own: Array | None = None,
    filtered: bool | None = None,
    tick: Tick = lambda share: None,
) -> Energies:
    """Energies of every query among the patterns.

    Args:
        queries: (q, n) points.
        betas: inverse temperatures, for E and E_MCHN alike.
        mchn: False saves the pass over the lifted distances; `energy_mchn` is then empty.
        k: nearest patterns returned, 1 to 64.
        own: (q,) id of the pattern that is the query itself and is left out, or −1; None: no pattern is left out.
        filtered: whether pairs are filtered by products in bfloat16 where few patterns weigh; None: where that is
            measured to be faster.
        tick: called with the share done, after each tile; an exception that it raises ends the work.

    Raises:
        InvalidInput: β, k or the dimensions are wrong, leaving one out leaves none, or a double does not hold a square
            that underflows, or E_MCHN.
        NonFiniteData: a query is not finite, or so far from the patterns that squared distances overflow a double.
    """
    betas = [check_beta(beta) for beta in betas]
    left_out = np.full(len(queries), -1) if own is None else np.asarray(own, dtype=np.int64)
    _check(patterns, queries, k, left_out)
    reach, rows = _reach(patterns, queries), patterns.centred(queries)
    far = reach * patterns.scale > _FAR[patterns.precision]
    found = _no_energies(betas, len(queries), min(k, len(patterns)), mchn=mchn)
    blocks = [ids for ids in torch.from_numpy(np.flatnonzero(~far)).split(_QUERIES[patterns.device.type]) if len(ids)]
    progress = _Progress(tick, len(queries))

    patterns.compute_norms()  # once, before the threads need them

    def block_of(ids: Tensor, used: Filter | None) -> QueryBlock:
        left = torch.from_numpy(left_out)[ids]
        return QueryBlock(patterns, rows, ids, betas, mchn, found.ids.shape[1], left, used)

    used, unfinished = _filter(patterns, len(queries), filtered), np.zeros(len(queries), dtype=bool)
    if used is not None and not (blocks and block_of(blocks[0][:_PROBED], used).run(lambda share: None)):
        used = None

    def evaluate_block(ids: Tensor) -> tuple[Array, Energies | None]:
        block = block_of(ids, used)
        whole = block.run(partial(progress.report, ids))
        return ids.numpy(), block.finish() if whole else None

    with closing(in_threads(blocks, evaluate_block, threads_on(patterns.device))) as ended:
        for at, block in ended:
            if block is not None:
                _put(found, at, block)
            if used is not None:  # where it leaves too many pairs of a query
                unfinished[at] = block is None or block.crowded
    again = partial(_evaluate_again, found, queries=queries, own=left_out)
    again(np.flatnonzero(unfinished), patterns, tick=progress.of_rest(int(unfinished.sum())))
    if far.any():
        again(np.flatnonzero(far), patterns.reaching(float(reach.max())))
    if patterns.precision != torch.float64:
        again(np.flatnonzero(found.crowded & ~far & ~unfinished), patterns.widened)
    check_squares(found)
    return found


def _filter(patterns: Patterns, queries: int, wanted: bool | None) -> Filter | None:
    """The filter of the patterns, where it is wanted, or by measurement; few patterns or queries are not worth it."""
    large = len(patterns) >= _FILTERED_PATTERNS and queries >= _FILTERED_QUERIES
    if patterns.device.type != "cpu" or wanted is False or not (wanted or (large and filter_pays(patterns.rows.d))):
        return None
    return Filter.of(patterns)


def _reach(patterns: Patterns, queries: StoredRows) -> Array:
    """(q,) the distance of every query to the centre of the patterns."""
    centre, found = patterns.rows.centre.double(), []
    for ids in torch.arange(len(queries)).split(_BLOCK_ROWS):
        rows = queries.take(ids).double()
        finite = torch.isfinite(rows).all(dim=1)
        if not bool(finite.all()):
            raise NonFiniteData(f"query {int(ids[int(finite.int().argmin())])} is not finite", field="queries")
        found.append(row_norms(rows - centre))
    reach = torch.cat([torch.empty(0, dtype=torch.float64), *found]).numpy()
    beyond = np.flatnonzero(~(reach < LONGEST_SQUARED))
    if len(beyond):
        raise NonFiniteData(
            f"query {beyond[0]} is {reach[beyond[0]]:.3g} from the centre of the patterns: squared distances overflow "
            "a double; scale the vectors down",
            field="queries",
        )
    return reach


def _evaluate_again(
    found: Energies,
    at: Array,
    patterns: Patterns,
    *,
    queries: StoredRows,
    own: Array,
    tick: Tick = lambda share: None,
) -> None:
    """Evaluate some queries without a filter, and put their energies into `found`.

    Those that a filter leaves too many pairs get float32 products. Those with too many candidates get float64 products,
    whose pairs need not be rescored; those far beyond the patterns also another scale, in which neither their norms nor
    the products overflow.
    """
    if not len(at):
        return
    chosen, k = StoredRows(queries.take(torch.from_numpy(at)).numpy()), found.ids.shape[1]
    mchn, crowded = len(found.energy_mchn) > 0, found.crowded[at] & (patterns.precision == torch.float64)
    _put(found, at, evaluate(patterns, chosen, found.betas, mchn=mchn, k=k, own=own[at], filtered=False, tick=tick))
    found.crowded[at] |= crowded


def check_squares(found: Energies) -> None:
    """Refuse what a double does not hold: g above 0 that underflows, and E_MCHN or Δ that overflow.

    Raises:
        InvalidInput: naming the query.
    """
    nearest = found.distances[:, 0] if len(found.ids) else np.empty(0)
    short = np.flatnonzero((nearest > 0) & (np.square(nearest) < SMALLEST_NORMAL))
    if len(short):
        query, row = short[0], found.ids[short[0], 0]
        raise InvalidInput(
            f"query {query} is {nearest[query]:.3g} from row {row}: the squared distance underflows a double; scale "
            "the vectors up",
            field="queries",
        )
    large = np.flatnonzero(~(np.isfinite(found.energy_mchn).all(axis=0) & np.isfinite(found.spread)))
    if len(large):
        message = f"E_MCHN of query {large[0]} overflows a double: the rows are too far from the origin; move them"
        raise InvalidInput(message, field="queries")


class _Progress:
    """Adds up the shares of blocks of queries, which several threads report after each tile, and calls `tick`."""

    def __init__(self, tick: Tick, queries: int) -> None:
        self._tick, self._queries, self._lock = tick, queries, Lock()
        self._ended = 0  # queries of the blocks that are done
        self._begun: dict[int, float] = {}  # by the first query of each other block
        self._shown = 0.0

    def report(self, ids: Tensor, share: float) -> None:
        with self._lock:
            self._begun[int(ids[0])] = share * len(ids)
            if share == 1:
                self._ended += len(ids)
                del self._begun[int(ids[0])]
            self._show((self._ended + sum(self._begun.values())) / self._queries)

    def of_rest(self, queries: int) -> Tick:
        """What reports the shares of the last queries, which are evaluated by themselves."""
        return lambda share: self._show(1 - (1 - share) * queries / self._queries)

    def _show(self, share: float) -> None:
        """Report a share, never less than before: queries that were done may have to be done again."""
        self._shown = max(self._shown, share)
        self._tick(self._shown)


def _check(patterns: Patterns, queries: StoredRows, k: int, own: Array) -> None:
    if queries.d != patterns.rows.d:
        raise InvalidInput(f"queries have {queries.d} dimensions, the patterns {patterns.rows.d}", field="queries")
    if not 1 <= k <= MAX_NEAREST:
        raise InvalidInput(f"k must be from 1 to {MAX_NEAREST}, not {k}", field="k")
    if len(patterns) < 2 and (own >= 0).any():
        raise InvalidInput("leaving a row out leaves no pattern; two are needed", field="activations")


def _no_energies(betas: list[float], q: int, k: int, *, mchn: bool) -> Energies:
    """Room for the energies of q queries."""
    return Energies(
        betas=betas,
        distances=np.full((q, k), np.inf),
        ids=np.full((q, k), -1, dtype=np.int64),
        energy=np.empty((len(betas), q)),
        energy_mchn=np.empty((len(betas) if mchn else 0, q)),
        error=np.empty((len(betas), q)),
        patterns=np.zeros(q, dtype=np.int64),
        spread=np.zeros(q),
        crowded=np.zeros(q, dtype=bool),
    )


def _put(found: Energies, at: Array, part: Energies) -> None:
    """Put the energies of some queries into their places."""
    for name in ("distances", "ids", "patterns", "spread", "crowded"):
        getattr(found, name)[at] = getattr(part, name)
    for name in ("energy", "energy_mchn", "error"):
        getattr(found, name)[:, at] = getattr(part, name)
