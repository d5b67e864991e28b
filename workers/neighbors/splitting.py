"""One search by several workers: a plan, and a state for each part of the tiles; settling.py makes them the answer.

Parts may be searched in any order, on any device and in any format: the bounds are rigorous, so a pair that one part
excludes is excluded from the whole search. The plan holds what all parts share, so that a slot is the same row in each:
centre, scale, layout, tile, and the duplicates resolved before. The answer equals that of one worker to the last bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workers.neighbors.candidates import CandidateState, no_candidates
from workers.neighbors.counting import count_within
from workers.neighbors.exact import begin, search_tiles
from workers.neighbors.filtering import search_panel
from workers.neighbors.formats import FormatTrial
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs, kth_smallest
from workers.neighbors.preparing import Preparation, prepare_search
from workers.neighbors.question import Question
from workers.neighbors.sampling import spread
from workers.neighbors.search import Search
from workers.neighbors.strip_search import StripSearch
from workers.neighbors.strips import Part, slot_pairs, strips_of, tiles
from workers.neighbors.ticking import Tick

Array = np.ndarray
_TIMED_COUNTS = 1024  # rows that are counted among themselves to predict the time of the whole count


@dataclass(frozen=True)
class PlanFacts:
    """All of a plan but its arrays, as numbers and names (the field names are JSON keys of staged plans).

    Attributes:
        scale, format: of the plan's `fixed`; the other fields are those of the plan.
    """

    device: str
    tile: int
    tiles: int
    seconds: float
    scale: float
    format: str
    trials: list[FormatTrial]


@dataclass(frozen=True)
class SearchPlan:
    """The values that all parts of a search share.

    Attributes:
        fixed: centre, scale and layout; and the format, for devices of type `device`.
        tile: slots on a side of a tile.
        emptied: (rows,) int64 slots of duplicates that left the search.
        duplicate_rows, duplicate_columns: (pairs,) int64 slots of the resolved pairs, at distance 0.
        trials: the measurements by which the format was chosen.
        tiles: number of tiles of the search.
        seconds: time of all tiles, predicted by the worker that planned the search.
    """

    fixed: Preparation
    device: str
    tile: int
    emptied: Tensor
    duplicate_rows: Tensor
    duplicate_columns: Tensor
    trials: list[FormatTrial]
    tiles: int
    seconds: float

    def arrays(self) -> dict[str, Array]:
        """The arrays of the plan; `read_plan` makes a plan of these and `facts`."""
        fixed = self.fixed
        kept = {"centre": fixed.centre, "ids": fixed.ids.int(), "split": fixed.split, "emptied": self.emptied}
        kept |= {"duplicate_rows": self.duplicate_rows, "duplicate_columns": self.duplicate_columns}
        return {name: tensor.cpu().numpy() for name, tensor in kept.items()}

    def facts(self) -> PlanFacts:
        """All other fields."""
        return PlanFacts(
            device=self.device,
            tile=self.tile,
            tiles=self.tiles,
            seconds=self.seconds,
            scale=self.fixed.scale,
            format=str(self.fixed.format).removeprefix("torch."),
            trials=self.trials,
        )


def read_plan(arrays: dict[str, Array], facts: PlanFacts) -> SearchPlan:
    """The plan with these arrays and facts."""
    read = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return SearchPlan(
        fixed=Preparation(read["centre"], facts.scale, read["ids"].long(), getattr(torch, facts.format), read["split"]),
        device=facts.device,
        tile=facts.tile,
        emptied=read["emptied"],
        duplicate_rows=read["duplicate_rows"],
        duplicate_columns=read["duplicate_columns"],
        trials=facts.trials,
        tiles=facts.tiles,
        seconds=facts.seconds,
    )


def plan_search(question: Question, options: SearchOptions) -> tuple[SearchPlan, Search]:
    """Centre, choose the format, resolve duplicates, and time a tile.

    Returns:
        The plan, and the prepared search that `prepare_part` would return on this worker.
    """
    search, trials = prepare_search(question, options)
    fixed = Preparation.of(search.database)  # before `begin` empties the slots of duplicates
    task = begin(search, trials)
    plan = SearchPlan(
        fixed=fixed,
        device=options.device.type,
        tile=search.tile,
        emptied=torch.nonzero(task.database_ids != search.database.layout.ids)[:, 0],
        duplicate_rows=task.duplicates.rows,
        duplicate_columns=task.duplicates.columns,
        trials=trials,
        tiles=tiles(search),
        seconds=_predict(search, task.state),
    )
    return plan, search


def prepare_part(question: Question, plan: SearchPlan, options: SearchOptions) -> Search:
    """The prepared search of a plan on a device; a device of another type than the plan's chooses its own format."""
    fixed = plan.fixed
    if options.device.type != plan.device:
        own, _ = prepare_search(question, options, encode=False)
        fixed = replace(Preparation.of(own.database), centre=fixed.centre, scale=fixed.scale, ids=fixed.ids)
    search, _ = prepare_search(question, replace(options, tile=plan.tile), fixed=fixed)
    search.database.empty(plan.emptied.to(search.database.layout.ids.device))
    return search


def search_part(search: Search, plan: SearchPlan, part: Part, tick: Tick = lambda share: None) -> CandidateState:
    """The pruned state of a part's tiles; `search` is from `prepare_part` or `plan_search`."""
    state = _state_before(search, plan)
    search_tiles(search, state, part, tick)
    state.prune(search.prefixes)
    return state


def predict_counting(question: Question, radii: list[float], options: SearchOptions) -> float:
    """Predicted seconds of `count_within` for all rows on this device, from a count among some rows."""
    sample = spread(question.order, _TIMED_COUNTS).numpy()
    began = time.perf_counter()
    count_within(replace(question, permutation=sample, sizes=[len(sample)]), radii, options)
    return (time.perf_counter() - began) * (len(question.order) / len(sample)) ** 2 / 2


def zero_pairs(search: Search, plan: SearchPlan, slots: slice | None = None) -> Pairs:
    """The pairs of duplicates of the queries in some slots, all by default, whose numbers then begin at 0."""
    device = search.prefixes.of_row.device
    rows, columns = plan.duplicate_rows.to(device), plan.duplicate_columns.to(device)
    if slots is not None:
        here = (rows >= slots.start) & (rows < slots.stop)
        rows, columns = rows[here] - slots.start, columns[here]
    first = torch.maximum(search.prefixes.of_row[rows], search.prefixes.of_column[columns])
    return Pairs(rows, columns, first, torch.zeros(len(rows), device=device), torch.zeros_like(rows).double())


def _state_before(search: Search, plan: SearchPlan) -> CandidateState:
    """The state before the first tile: rows with k duplicates need no search."""
    state = no_candidates(search.prefixes, search.k)
    slots = search.queries.layout.slots
    done = kth_smallest(zero_pairs(search, plan), slots, search.prefixes.count, search.k) == 0
    state.best[done] = -1.0
    return state


def _predict(search: Search, state: CandidateState) -> float:
    """Predicted seconds for all tiles, from the faster of two runs of one tile, off the diagonal if there is one."""
    whole = strips_of(search, Part())
    panel, columns = whole[0]
    tile = slice(max(columns.start, columns.stop - search.tile), columns.stop)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        if search.strips:  # reading the number of pairs waits for the device
            StripSearch(search, no_candidates(search.prefixes, search.k)).add(panel, tile)
        else:
            search_panel(search, panel, state, tile)
        seconds.append(time.perf_counter() - began)
    return min(seconds) * slot_pairs(whole) / slot_pairs([(panel, tile)])
