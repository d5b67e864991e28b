"""Segments of one search by several workers: a plan, its parts, and what the radius segment makes of them.

Each is staged in a folder of its own beside the report's, with a manifest that names the plan it belongs to; it is
found again by a repeated segment, and made again when it is damaged. All go when the report is published.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from service.catalog import jobs, workers
from service.contracts.radius import RadiusSpec
from service.estimates.parts import part_stops
from workers.devices.device import describe_device
from workers.flows.keeping import Kept
from workers.flows.runtime import SegmentProgress, runtime
from workers.flows.searching import Found, SearchInput, options_of, question_of, read_input, reason_of, sets_of
from workers.flows.staged_parts import Arguments, Made, part_folder, part_name, read_part, stage
from workers.neighbors.candidates import CandidateState, merge_candidates
from workers.neighbors.counting import count_within
from workers.neighbors.filtering import Search
from workers.neighbors.null_model import GaussianNull, covariance_spectrum, gaussian_null
from workers.neighbors.permutation import prefix_sizes
from workers.neighbors.splitting import (
    SearchPlan,
    answer_from_parts,
    plan_search,
    predict_counting,
    prepare_part,
    read_plan,
    read_state,
    search_part,
    state_arrays,
)
from workers.neighbors.strips import Part

_KEPT_S = 3.0


@dataclass(frozen=True)
class Prepared:
    """What the parts of one plan share on a worker: checked rows, mapped and encoded."""

    given: SearchInput
    plan: SearchPlan
    search: Search


_kept = Kept[Prepared](_KEPT_S)


def plan_parts(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """Plan the search of a report; returns `{"plan", "search", "count"}`, its checksum and where the parts stop."""
    current, spec, given = runtime(), _spec(arguments), _input(arguments)
    lease_s, longest_s = current.settings.lease_s, current.settings.search_segment_s
    living = current.read(lambda connection: workers.count_alive(connection, "compute-", lease_s))
    if arguments["alone"]:
        current.write(lambda connection: jobs.plan(connection, job_id, len(given.queries), "rows"))
    made: list[Prepared] = []

    def make() -> Made:
        began = time.time()
        question, options = question_of(given, spec), options_of(current.settings, given)
        plan, search = plan_search(question, options)
        made.append(Prepared(given, plan, search))
        counting = 0.0
        if spec.radii is not None:
            counting = predict_counting(question, spec.radii, options)
        stops = [part_stops(plan.tiles, seconds, longest_s, living) for seconds in (plan.seconds, counting)]
        return plan.arrays(), plan.facts() | {"search": stops[0], "count": stops[1], "began": began}

    sha256 = stage(arguments, progress, "plan", make)
    manifest = part_folder(arguments, "plan", sha256).manifest
    if made and len(manifest["search"]) + len(manifest["count"]) > 2:
        _kept.leave(sha256, made.pop())
    return {"plan": sha256, "search": manifest["search"], "count": manifest["count"]}


def search_one_part(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """Search the tiles `arguments["part"]`; returns the checksum of its state."""
    part = _part(arguments)
    prepared = _kept.take(arguments["plan"], partial(_prepare, arguments))
    rows, search = _rows(prepared.given, _spec(arguments), part), prepared.search

    def make() -> Made:
        state = search_part(search, prepared.plan, part, partial(_tick_rows, progress, rows))
        encoding = search.database.encoding
        return state_arrays(state), {"format": encoding.name, "fused": search.fused, "device": str(encoding.device)}

    sha256 = stage(arguments, progress, part_name("search", arguments["number"]), make)
    progress(rows, final=True)
    _kept.leave(arguments["plan"], prepared)
    return {"sha256": sha256}


def count_one_part(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """Count the pairs of part `arguments["part"]` within the radii; returns the checksum of the counts."""
    spec, given, part = _spec(arguments), _input(arguments), _part(arguments)
    tick = partial(_tick_rows, progress, _rows(given, spec, part))

    def make() -> Made:
        plan = read_plan(*read_part(arguments, "plan", arguments["plan"]))
        options = replace(options_of(runtime().settings, given), tile=plan.tile)
        counts = count_within(question_of(given, spec), spec.radii or [], options, part, tick)
        return {"counts": counts}, {}

    sha256 = stage(arguments, progress, part_name("count", arguments["number"]), make)
    progress(_rows(given, spec, part), final=True)
    return {"sha256": sha256}


def draw_null(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """The null model, while others plan and search; returns its checksum."""
    spec, given = _spec(arguments), _input(arguments)

    def make() -> Made:
        progress(0)
        source, _ = sets_of(spec)
        spectrum = covariance_spectrum(given.database, source.mean())
        sizes = prefix_sizes(len(given.database), spec.fractions)
        null = gaussian_null(spectrum, sizes, queries=runtime().settings.null_queries, seed=spec.seed)
        return {f"distances_{at}": part for at, part in enumerate(null.distances)}, {"rank": null.rank}

    with _kept.held():  # for the parts, which come next
        return {"sha256": stage(arguments, progress, "null", make)}


def _prepare(arguments: Arguments) -> Prepared:
    spec, given = _spec(arguments), _input(arguments)
    plan = read_plan(*read_part(arguments, "plan", arguments["plan"]))
    search = prepare_part(question_of(given, spec), plan, options_of(runtime().settings, given))
    return Prepared(given, plan, search)


def gather_parts(given: SearchInput, arguments: Arguments, progress: SegmentProgress) -> Found:
    """Merge the states of all parts and settle what they leave open.

    Raises:
        CorruptArtifact: a part is missing, damaged, or of another plan.
    """
    began, spec, split = time.perf_counter(), _spec(arguments), arguments["split"]
    plan_arrays, facts = read_part(arguments, "plan", split["plan"])
    question = question_of(given, spec)
    states, abouts = [part_name("search", number) for number in range(len(split["search"]))], []

    def merged(search: Search) -> CandidateState:
        whole = None
        for name, sha256 in zip(states, split["search"], strict=True):
            arrays, about = read_part(arguments, name, sha256)
            state = read_state(arrays)
            whole = state if whole is None else merge_candidates(whole, state, search.prefixes)
            abouts.append(about)
            progress(0)
        assert whole is not None
        return whole

    parts, work = answer_from_parts(question, read_plan(plan_arrays, facts), merged)
    settled, counts, count_s = time.perf_counter(), None, 0.0
    for number, sha256 in enumerate(split["count"]):
        arrays, about = read_part(arguments, part_name("count", number), sha256)
        counts = arrays["counts"] if counts is None else counts + arrays["counts"]
        count_s += about["work_s"]
    told = asdict(replace(work, fused=any(about["fused"] for about in abouts)))
    told |= {"engine_asked": spec.engine, "resident": options_of(runtime().settings, given).resident}
    told |= {"on": describe_device(torch.device(abouts[0]["device"])), "parts": _about_parts(split, abouts)}
    search_s = facts["work_s"] + sum(about["work_s"] for about in abouts) + settled - began
    return Found(
        parts=parts,
        engine="exact",
        reason=reason_of(spec),
        approximations=[None] * len(parts),
        counts=counts,
        work=told,
        search_s=search_s,
        count_s=count_s,
        searched_sha256=given.sha256,
        wall_s=max(0.0, time.time() - facts["began"]),
    )


def read_null(arguments: Arguments, sizes: list[int]) -> GaussianNull:
    """The null model that was drawn while others searched."""
    arrays, about = read_part(arguments, "null", arguments["null"][0])
    return GaussianNull([arrays[f"distances_{at}"] for at in range(len(sizes))], about["rank"])


def _about_parts(split: Arguments, abouts: list[dict[str, Any]]) -> dict[str, Any]:
    found = {name: sorted({str(about[name]) for about in abouts}) for name in ("format", "device", "worker")}
    return {"search": len(split["search"]), "count": len(split["count"])} | found


def _rows(given: SearchInput, spec: RadiusSpec, part: Part) -> int:
    """Of the job's progress, what this part is: all parts of search and counts together are the rows that ask."""
    halves = 1 if spec.radii is None else 2
    first, after = part.cut(len(given.queries) // halves)
    return after - first


def _tick_rows(progress: SegmentProgress, rows: int, share: float) -> None:
    progress(int(share * rows))


def _part(arguments: Arguments) -> Part:
    return Part(*arguments["part"])


def _spec(arguments: Arguments) -> RadiusSpec:
    return RadiusSpec(**{name: arguments[name] for name in RadiusSpec.model_fields if name in arguments})


def _input(arguments: Arguments) -> SearchInput:
    spec = _spec(arguments)
    return read_input(spec, *sets_of(spec))
