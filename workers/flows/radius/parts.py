"""Segments of a large search: its plan, its parts, their counts, the null model; settling.py has the next."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

from service.catalog import jobs, workers
from service.estimates.parts import part_stops
from workers.devices.device import choose_device
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.prepared_values import PreparedValue
from workers.flows.engine.runtime import Runtime
from workers.flows.engine.segments import runs
from workers.flows.radius.account import kernel_reason
from workers.flows.radius.arguments import (
    COUNT,
    NULL,
    PLAN,
    SEARCH,
    PartArguments,
    PlanArguments,
    Planned,
    SearchArguments,
    SettleArguments,
    Staged,
)
from workers.flows.radius.search import SetSearch, open_search
from workers.flows.radius.staged import Arrays, PartFacts, PlannedFacts, SearchedFacts, part_name, part_store
from workers.neighbors.counting import count_within
from workers.neighbors.null_model import gaussian_null, principal_deviations
from workers.neighbors.question import Question
from workers.neighbors.search import Search
from workers.neighbors.settling import cut_state, predict_settling, query_blocks, ranges_of
from workers.neighbors.splitting import (
    SearchPlan,
    plan_search,
    predict_counting,
    prepare_part,
    read_plan,
    search_part,
)
from workers.neighbors.strips import Part

_KEPT_S = 3.0


@dataclass(frozen=True)
class Prepared:
    """What the parts of one plan share on a worker: the sets, the plan, the encoded rows, and the ranges of queries."""

    sets: SetSearch
    plan: SearchPlan
    search: Search
    ranges: list[slice]


_kept_search = PreparedValue[Prepared](_KEPT_S)


@runs(PLAN)
def plan_parts(arguments: PlanArguments, owner: SegmentOwner) -> Planned:
    """Plan the search of a report, and where its parts stop."""
    current, sets = owner.runtime, open_search(arguments.spec, owner.runtime)
    if arguments.sets_total:
        current.write(lambda connection: jobs.set_total(connection, owner.job_id, sets.query_rows, "rows"))
    store, made = part_store(current, arguments.report), list[tuple[SearchPlan, Search]]()

    def make() -> tuple[Arrays, PlannedFacts]:
        began = time.time()
        options = sets.options(current.settings)
        plan, search = plan_search(sets.searched, options)
        made.append((plan, search))
        radii = arguments.spec.radii
        counting = 0.0 if radii is None else predict_counting(sets.question, radii, options)
        search_stops, count_stops, settle_stops = _stops(plan, counting, sets.searched, current)
        return plan.arrays(), PlannedFacts(
            **vars(plan.facts()), search=search_stops, count=count_stops, settle=settle_stops, began=began
        )

    sha256 = store.stage(owner, "plan", PlannedFacts, make)
    facts = store.facts("plan", sha256, PlannedFacts)
    if made and len(facts.search) + len(facts.count) > 2:
        _kept_search.store(sha256, Prepared(sets, *made.pop(), ranges_of(facts.settle)))
    return Planned(plan=sha256, search=facts.search, count=facts.count, settle=facts.settle)


@runs(SEARCH)
def search_one_part(arguments: PartArguments, owner: SegmentOwner) -> Staged:
    """Search the tiles of one part; its state is staged."""
    part, current = Part(*arguments.part), owner.runtime
    prepared = _kept_search.take(arguments.plan, partial(_prepare, arguments, current))
    rows, search = _rows(prepared.sets, part), prepared.search

    def make() -> tuple[dict[str, Arrays], SearchedFacts]:
        state = search_part(search, prepared.plan, part, lambda share: owner.progress(int(share * rows)))
        encoding, cut = search.database.encoding, cut_state(state, prepared.ranges)
        return {part_name("range", at): arrays for at, arrays in enumerate(cut)}, SearchedFacts(
            format=encoding.name,
            fused=search.fused,
            device=str(encoding.device),
            kernel=kernel_reason(encoding.device, encoding.dtype),
        )

    store = part_store(current, arguments.report, arguments.plan)
    sha256 = store.stage_files(owner, part_name("search", arguments.number), SearchedFacts, make)
    owner.progress(rows, final=True)
    _kept_search.store(arguments.plan, prepared)
    return Staged(sha256=sha256)


@runs(COUNT)
def count_one_part(arguments: PartArguments, owner: SegmentOwner) -> Staged:
    """Count the pairs of one part within the radii; the counts are staged."""
    current, part, sets = owner.runtime, Part(*arguments.part), open_search(arguments.spec, owner.runtime)
    rows = _rows(sets, part)

    def make() -> tuple[Arrays, PartFacts]:
        plan, _ = read_staged_plan(arguments, current)
        options = replace(sets.options(current.settings), tile=plan.tile)
        radii, tick = arguments.spec.radii or [], lambda share: owner.progress(int(share * rows))
        return {"counts": count_within(sets.question, radii, options, part=part, tick=tick)}, PartFacts()

    store = part_store(current, arguments.report, arguments.plan)
    sha256 = store.stage(owner, part_name("count", arguments.number), PartFacts, make)
    owner.progress(rows, final=True)
    return Staged(sha256=sha256)


@runs(NULL)
def draw_null(arguments: SearchArguments, owner: SegmentOwner) -> Staged:
    """Draw the null model, while other workers plan and search."""
    sets = open_search(arguments.spec, owner.runtime)

    def make() -> tuple[Arrays, PartFacts]:
        owner.progress(0)
        settings = owner.runtime.settings
        queries, device = settings.null_queries, choose_device(settings.device)
        deviations = principal_deviations(sets.question.database, sets.database.mean(), device)
        sizes, seed = sets.question.sizes, arguments.spec.seed
        null = gaussian_null(deviations, sizes, queries=queries, seed=seed, device=device)
        arrays = {f"distances_{at}": part for at, part in enumerate(null.distances)}
        return arrays | {"deviations": null.deviations}, PartFacts()

    with _kept_search.paused():  # the parts, which come next, need the prepared search
        return Staged(sha256=part_store(owner.runtime, arguments.report).stage(owner, "null", PartFacts, make))


def _stops(plan: SearchPlan, counting_s: float, question: Question, current: Runtime) -> tuple[list[int], ...]:
    """Where the parts of search and counts stop among all tiles, and the settled ranges among all blocks of queries."""
    settings = current.settings
    living = current.read(lambda connection: workers.count_alive(connection, "compute-", settings.lease_s))
    stops = partial(part_stops, longest_s=settings.search_segment_s, workers=living)
    search, count = (stops(plan.tiles, seconds) for seconds in (plan.seconds, counting_s))
    settling_s = predict_settling(len(question.query_ids), len(search))
    return search, count, stops(query_blocks(question), settling_s)


def read_staged_plan(arguments: PartArguments | SettleArguments, current: Runtime) -> tuple[SearchPlan, list[slice]]:
    """The plan that a segment's arguments name, and the query slots of each range that is settled separately.

    Raises:
        CorruptArtifact: it is missing or damaged, or of another version.
    """
    arrays, facts = part_store(current, arguments.report).read("plan", arguments.plan, PlannedFacts)
    return read_plan(arrays, facts), ranges_of(facts.settle)


def _prepare(arguments: PartArguments, current: Runtime) -> Prepared:
    sets, (plan, ranges) = open_search(arguments.spec, current), read_staged_plan(arguments, current)
    return Prepared(sets, plan, prepare_part(sets.searched, plan, sets.options(current.settings)), ranges)


def _rows(sets: SetSearch, part: Part) -> int:
    """The share of a part in the job's progress: all parts of search and counts together are the query rows."""
    halves = 1 if sets.spec.radii is None else 2
    first, after = part.cut(sets.query_rows // halves)
    return after - first
