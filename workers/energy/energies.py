"""g, E, E_MCHN and the k nearest patterns of many queries, from one pass over the patterns.

A tile of products gives rounded squared distances D. Running shifted sums over D give E at every β, those over the
lifted D' = D + M² − ‖ρ‖² give E_MCHN at every β (service/theory/energy.py). The nearest pairs of each query, and those
of most weight, are then rescored in float64 by direct subtraction of the stored rows, and the sums are corrected by
these values. The remaining rounding error, at most (share of the sum not rescored) × (bound on D), is returned with
the energies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from service.theory.energy import check_beta
from workers.energy.patterns import Patterns
from workers.energy.query_block import Energies, QueryBlock
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick

Array = np.ndarray
MAX_NEAREST = 64
_QUERIES = {"cpu": 1024, "cuda": 8192}


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
        own: (q,) id of the pattern that is the query itself and is left out, or −1; None: no pattern is left out.
        tick: called with the share done, after each tile; an exception that it raises ends the work.

    Raises:
        InvalidInput: β, k or the dimensions are wrong, or leaving one out leaves none.
        NonFiniteData: a query is not finite.
    """
    betas = [check_beta(beta) for beta in betas]
    left_out = np.full(len(queries), -1) if own is None else np.asarray(own, dtype=np.int64)
    _check(patterns, queries, k, left_out)
    block = _QUERIES[patterns.device.type]
    rows, parts = patterns.centred(queries), []
    for ids in torch.arange(len(queries)).split(block) if len(queries) else ():
        work = QueryBlock(patterns, rows, ids, betas, mchn, min(k, len(patterns)), torch.from_numpy(left_out)[ids])
        work.run(partial(_tick_block, tick, ids, len(queries)))
        parts.append(work.finish())
    found = _joined(betas, k, parts)
    return _evaluate_crowded(found, patterns, queries, mchn=mchn, own=left_out)


def _evaluate_crowded(found: Energies, patterns: Patterns, queries: StoredRows, *, mchn: bool, own: Array) -> Energies:
    """Evaluate crowded queries again with float64 products, whose sums need no rescored pairs."""
    rows = np.flatnonzero(found.crowded)
    if not len(rows) or patterns.precision == torch.float64:
        return found
    crowded = StoredRows(queries.take(torch.from_numpy(rows)).numpy())
    again = evaluate(patterns.widened, crowded, found.betas, mchn=mchn, k=found.ids.shape[1], own=own[rows])
    for name in ("distances", "ids"):
        getattr(found, name)[rows] = getattr(again, name)
    for name in ("energy", "energy_mchn", "error"):
        getattr(found, name)[:, rows] = getattr(again, name)
    return found


def _tick_block(tick: Tick, ids: Tensor, queries: int, share: float) -> None:
    tick((int(ids[0]) + share * len(ids)) / queries)


def _check(patterns: Patterns, queries: StoredRows, k: int, own: Array) -> None:
    if queries.d != patterns.rows.d:
        raise InvalidInput(f"queries have {queries.d} dimensions, the patterns {patterns.rows.d}", field="queries")
    if not 1 <= k <= MAX_NEAREST:
        raise InvalidInput(f"k must be from 1 to {MAX_NEAREST}, not {k}", field="k")
    if len(patterns) < 2 and (own >= 0).any():
        raise InvalidInput("leaving a row out leaves no pattern; two are needed", field="activations")


def _joined(betas: list[float], k: int, parts: list[Energies]) -> Energies:
    if not parts:
        none = np.empty((len(betas), 0))
        return Energies(betas, np.empty((0, k)), np.empty((0, k), np.int64), none, none, none, *[np.empty(0)] * 3)
    rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("distances", "ids")}
    sums = {name: np.hstack([getattr(part, name) for part in parts]) for name in ("energy", "energy_mchn", "error")}
    counts = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ("patterns", "spread", "crowded")
    }
    return Energies(betas=betas, **rows, **sums, **counts)
