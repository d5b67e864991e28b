"""One search by several workers: a plan, the state of each part of the tiles, and what is settled when all are merged.

Parts may be searched in any order, on any device, in any format: bounds are rigorous, so whatever a part may exclude,
the whole search may. What they share, so that slots mean the same everywhere, is in the plan: centre, scale, tile, and
the duplicates that were settled before. The answer has the bits of a search by one worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers.neighbors.answers import Neighbors
from workers.neighbors.candidates import CandidateState, no_candidates
from workers.neighbors.counting import count_within
from workers.neighbors.exact import SearchWork, Task, answer, begin, search_tiles
from workers.neighbors.filtering import Search, search_panel
from workers.neighbors.pairs import Pairs, kth_smallest
from workers.neighbors.plan import FormatTrial
from workers.neighbors.preparing import Ground, Means, prepare_search
from workers.neighbors.stored import StoredRows
from workers.neighbors.strips import Part, slot_pairs, strips_of, tiles
from workers.neighbors.ticking import Tick

Array = np.ndarray
_STATE = ("best", "lifted", "rows", "columns", "lowers")
_TIMED_COUNTS = 1024  # rows that are counted among themselves to predict how long all take


@dataclass(frozen=True)
class Question:
    """What is asked; attributes as the arguments of `exact_neighbors`."""

    stored: StoredRows
    permutation: Array
    sizes: list[int]
    k: int = 1
    codes: Array | None = None
    queries: StoredRows | None = None
    query_codes: Array | None = None

    @property
    def order(self) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.permutation[: self.sizes[-1]], dtype=np.int64))

    @property
    def asked(self) -> list[Tensor]:
        """Ids of the rows that ask in each prefix."""
        if self.queries is None:
            return [self.order[:size] for size in self.sizes]
        return [torch.arange(len(self.queries))] * len(self.sizes)


@dataclass(frozen=True)
class SearchPlan:
    """What all parts of a search share.

    Attributes:
        ground: centre and scale; and format, for devices of type `device`.
        tile: slots on a side of a tile.
        emptied: (rows,) int64 slots of duplicates that left the search.
        duplicate_rows, duplicate_columns: (pairs,) int64 slots of the pairs settled by them, at distance 0.
        trials: what was measured to choose the format.
        tiles: of the search.
        seconds: predicted for all tiles, by the worker that planned.
    """

    ground: Ground
    device: str
    tile: int
    emptied: Tensor
    duplicate_rows: Tensor
    duplicate_columns: Tensor
    trials: list[FormatTrial]
    tiles: int
    seconds: float

    def arrays(self) -> dict[str, Array]:
        """With `facts`, all of it; `read_plan` makes a plan of them again."""
        kept = {"centre": self.ground.centre, "split": self.ground.split, "emptied": self.emptied}
        kept |= {"duplicate_rows": self.duplicate_rows, "duplicate_columns": self.duplicate_columns}
        return {name: tensor.cpu().numpy() for name, tensor in kept.items()}

    def facts(self) -> dict[str, Any]:
        """What is no array, as JSON."""
        kept = {name: getattr(self, name) for name in ("device", "tile", "tiles", "seconds")}
        format_name = str(self.ground.format).removeprefix("torch.")
        return kept | {"scale": self.ground.scale, "format": format_name, "trials": [asdict(t) for t in self.trials]}


def read_plan(arrays: dict[str, Array], facts: dict[str, Any]) -> SearchPlan:
    """The plan that gave these."""
    read = {name: torch.from_numpy(array) for name, array in arrays.items()}
    ground = Ground(read["centre"], facts["scale"], getattr(torch, facts["format"]), read["split"])
    trials = [FormatTrial(**trial) for trial in facts["trials"]]
    duplicates = read["emptied"], read["duplicate_rows"], read["duplicate_columns"]
    return SearchPlan(ground, facts["device"], facts["tile"], *duplicates, trials, facts["tiles"], facts["seconds"])


def plan_search(question: Question, means: Means) -> tuple[SearchPlan, Search]:
    """Centre, choose the format, settle duplicates, and time a tile; returns what `prepare_part` gives here, too."""
    search, trials = _prepare(question, means)
    task = begin(search, trials)
    side, encoding = search.database, search.database.encoding
    plan = SearchPlan(
        ground=Ground(side.rows.centre, side.rows.scale, encoding.dtype, encoding.split),
        device=means.device.type,
        tile=search.tile,
        emptied=torch.nonzero(task.pattern_ids != side.layout.ids)[:, 0],
        duplicate_rows=task.duplicates.rows,
        duplicate_columns=task.duplicates.columns,
        trials=trials,
        tiles=tiles(search),
        seconds=_predict(search, task.state),
    )
    return plan, search


def prepare_part(question: Question, plan: SearchPlan, means: Means) -> Search:
    """What all parts of a plan are searched with on a device; one of another type chooses its own format."""
    ground = plan.ground
    if means.device.type != plan.device:
        own, _ = _prepare(question, means, filtering=False)
        encoding = own.database.encoding
        ground = Ground(ground.centre, ground.scale, encoding.dtype, encoding.split)
    search, _ = _prepare(question, means, ground=ground, tile=plan.tile)
    search.database.empty(plan.emptied)
    return search


def search_part(search: Search, plan: SearchPlan, part: Part, tick: Tick = lambda share: None) -> CandidateState:
    """The pruned state of a part's tiles, searched with what `prepare_part` gave."""
    state = _state_before(search, plan)
    search_tiles(search, state, part, tick)
    state.prune(search.prefixes)
    return state


def settle_parts(
    question: Question, plan: SearchPlan, merged: Callable[[Search], CandidateState]
) -> tuple[list[Neighbors], SearchWork]:
    """The answer. `merged` gives the state of all parts, on the CPU, merged in any order by `merge_candidates`."""
    search, _ = _prepare(question, Means(), ground=plan.ground, tile=plan.tile, filtering=False)
    ids = search.queries.layout.ids.clone(), search.database.layout.ids.clone()
    search.database.empty(plan.emptied)
    task = Task(search, merged(search), *ids, _duplicates(search, plan), plan.trials)
    return answer(task, question.asked)


def predict_counting(question: Question, radii: list[float], means: Means) -> float:
    """Seconds that `count_within` takes here for all tiles, from those of some rows."""
    sample = question.order[:: max(1, len(question.order) // _TIMED_COUNTS)][:_TIMED_COUNTS].numpy()
    began = time.perf_counter()
    count_within(question.stored, sample, radii, codes=question.codes, means=means)
    return (time.perf_counter() - began) * (len(question.order) / len(sample)) ** 2 / 2


def state_arrays(state: CandidateState) -> dict[str, Array]:
    """A pruned state as arrays."""
    return {name: getattr(state, name).cpu().numpy() for name in _STATE}


def read_state(arrays: dict[str, Array]) -> CandidateState:
    """The state that gave these, on the CPU."""
    best, lifted, rows, columns, lowers = (torch.from_numpy(arrays[name]) for name in _STATE)
    return CandidateState(best, lifted, rows, columns, lowers)


def _prepare(
    question: Question, means: Means, *, ground: Ground | None = None, tile: int = 0, filtering: bool = True
) -> tuple[Search, list[FormatTrial]]:
    return prepare_search(
        question.stored,
        question.order,
        question.sizes,
        k=question.k,
        codes=question.codes,
        queries=question.queries,
        query_codes=question.query_codes,
        means=Means(means.device, means.format, tile or means.tile, means.resident, means.fused),
        ground=ground,
        filtering=filtering,
    )


def _duplicates(search: Search, plan: SearchPlan) -> Pairs:
    rows, columns = plan.duplicate_rows, plan.duplicate_columns
    first = torch.maximum(search.prefixes.of_row.cpu()[rows], search.prefixes.of_column.cpu()[columns])
    return Pairs(rows, columns, first, torch.zeros(len(rows)), torch.zeros(len(rows), dtype=torch.float64))


def _state_before(search: Search, plan: SearchPlan) -> CandidateState:
    """The state before the first tile: rows with k duplicates ask no more."""
    state = no_candidates(search.prefixes, search.k)
    slots = search.queries.layout.slots
    done = kth_smallest(_duplicates(search, plan), slots, search.prefixes.count, search.k) == 0
    state.best[done.to(state.best.device)] = -1.0
    return state


def _predict(search: Search, state: CandidateState) -> float:
    """Seconds for all tiles, from the faster of two runs of one off the diagonal, where there is one."""
    whole = strips_of(search, Part())
    panel, columns = whole[0]
    tile = slice(max(columns.start, columns.stop - search.tile), columns.stop)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        search_panel(search, panel, state, lambda pairs: None, tile)
        seconds.append(time.perf_counter() - began)
    return min(seconds) * slot_pairs(whole) / slot_pairs([(panel, tile)])
