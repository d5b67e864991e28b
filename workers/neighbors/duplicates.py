"""Duplicates, rows that are equal to the last bit, are found and resolved before the search.

Text repeats itself, and equal contexts give equal rows. A row with k duplicates has its k neighbours, at distance 0,
without a search. For all other rows a few representatives stand for the whole group. A thousand copies therefore cost
as much as two, and which copies are returned (those of the smallest admissible ids) does not depend on the search.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workers.neighbors.candidates import CandidateState
from workers.neighbors.pairs import Pairs, kth_smallest, no_pairs
from workers.neighbors.search import Search

Array = np.ndarray
_BLOCK_PAIRS = 4096


def resolve_duplicates(search: Search, state: CandidateState) -> Pairs:
    """Pairs of equal rows, at distance 0, enough for every row that has k duplicates; such rows need no search.

    Among the equal rows of one stretch at most k of one code, and 2 k in all, stay in the database as representatives:
    whichever code is excluded, k are left. The others leave the search, unless they are still needed as queries.
    """
    slots, group = _equal_rows(search)
    if not len(slots):
        return no_pairs(state.best.device)
    side, m, prefixes = search.database, search.queries.layout.slots, search.prefixes
    representative = _representatives(search, slots, group)
    here = slots.to(state.best.device)
    pairs = _zero_pairs(search, slots, group, representative).to(here.device)
    done = kth_smallest(pairs, m, prefixes.count, search.k) == 0
    state.best[done] = -1.0
    side.empty(here[~representative.to(here.device) & done[here, prefixes.of_row[here]]])
    return pairs


def _equal_rows(search: Search) -> tuple[Tensor, Tensor]:
    """Slots of rows that have an equal, ordered by group, stretch and id, and the group of each."""
    side = search.database
    # Equal rows have equal norms and errors; rows that agree in both are then compared element by element.
    key = side.norms.view(torch.int32).long() * 2**32 + side.errors.view(torch.int32).long()
    key = torch.where(side.layout.ids < 0, -1 - torch.arange(len(key), device=key.device), key)
    _, group, count = torch.unique(key, return_inverse=True, return_counts=True)
    shared = torch.nonzero(count[group] > 1)[:, 0]
    # The rest is about few rows, on the CPU; only rows are compared where they are.
    slots, group = shared.cpu(), group[shared].cpu()
    if not len(slots):
        return slots, slots
    ids, prefixes = side.layout.ids[shared].cpu().numpy(), search.prefixes.of_column[shared].cpu().numpy()
    order = torch.from_numpy(np.lexsort((ids, prefixes, group.numpy())))
    slots, group = slots[order], group[order]
    leader = slots[torch.searchsorted(group, group)]
    blocks = zip(*(part.to(shared.device).split(_BLOCK_PAIRS) for part in (slots, leader)), strict=True)
    equal = torch.cat([(side.take(a) == side.take(b)).all(dim=1) for a, b in blocks]).cpu()
    return slots[equal], group[equal]


def _representatives(search: Search, slots: Tensor, group: Tensor) -> Tensor:
    """(slots,) bool: rows that represent their group in their stretch, and stay in the database."""
    here = slots.to(search.database.codes.device)
    stretch = (group * search.prefixes.count + search.prefixes.of_column[here].cpu()).numpy()
    codes = search.database.codes[here].cpu().numpy()
    of_code = np.lexsort((np.arange(len(slots)), codes, stretch))
    eligible = np.empty(len(slots), dtype=bool)
    eligible[of_code] = _rank_in_runs(stretch[of_code], codes[of_code]) < search.k
    representative = np.zeros(len(slots), dtype=bool)
    representative[eligible] = _rank_in_runs(stretch[eligible]) < 2 * search.k
    return torch.from_numpy(representative)


def _rank_in_runs(*keys: Array) -> Array:
    """Index of each element within its run of equal keys."""
    if not len(keys[0]):
        return np.empty(0, dtype=np.int64)
    new = np.concatenate([[True], np.any([key[1:] != key[:-1] for key in keys], axis=0)])
    starts = np.flatnonzero(new)
    return np.arange(len(new)) - np.repeat(starts, np.diff(np.append(starts, len(new))))


def _zero_pairs(search: Search, slots: Tensor, group: Tensor, representative: Tensor) -> Pairs:
    """Pairs of every row of a group with every admissible representative of the group."""
    representatives = slots[representative]
    start = torch.searchsorted(group[representative], group)
    count = torch.searchsorted(group[representative], group, right=True) - start
    at = torch.repeat_interleave(torch.arange(len(slots)), count)
    within = torch.arange(len(at)) - torch.repeat_interleave(count.cumsum(0) - count, count)
    rows, columns = slots[at], representatives[start[at] + within]
    codes, device = search.database.codes, search.database.codes.device
    counts = (codes[rows.to(device)] != codes[columns.to(device)]).cpu()
    rows, columns = rows[counts], columns[counts]
    of_row, of_column = search.prefixes.of_row, search.prefixes.of_column
    first = torch.maximum(of_row[rows.to(device)], of_column[columns.to(device)]).cpu()
    return Pairs(rows, columns, first, torch.zeros(len(rows)), torch.zeros(len(rows), dtype=torch.float64))
