"""Segments of one search by several workers: a plan, its parts, and what the radius segment makes of them.

Each is staged in a folder of its own beside the report's, with a manifest that names the plan it belongs to; it is
found again by a repeated segment, and made again when it is damaged. All go when the report is published.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from service.artifacts.activation_set import save_tensors
from service.artifacts.atomic import publish_folder, sha256_file
from service.artifacts.manifest import MANIFEST, ArtifactFolder, describe_file, write_manifest
from service.artifacts.staging import own_staging
from service.catalog import jobs, workers
from service.contracts.radius import RadiusSpec
from service.errors import CorruptArtifact
from workers.devices.device import describe_device
from workers.flows.runtime import SegmentProgress, runtime
from workers.flows.searching import Found, SearchInput, means_of, read_input, reason_of, sets_of
from workers.neighbors.candidates import CandidateState, merge_candidates
from workers.neighbors.counting import count_within
from workers.neighbors.filtering import Search
from workers.neighbors.null_model import GaussianNull, covariance_spectrum, gaussian_null
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.splitting import (
    Question,
    plan_search,
    predict_counting,
    read_plan,
    read_state,
    search_part,
    settle_parts,
    state_arrays,
)
from workers.neighbors.strips import Part

Array = np.ndarray
Arguments = dict[str, Any]
Made = tuple[dict[str, Array], dict[str, Any]]
_ARRAYS = "arrays.safetensors"
_NO_PLAN = ""


def plan_parts(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """Plan the search of a report; returns `{"plan", "search", "count"}`, its checksum and the numbers of parts."""
    current, spec, given = runtime(), _spec(arguments), _input(arguments)
    with current.catalog.read() as connection:
        living = workers.count_alive(connection, "compute-", current.settings.lease_s)
    if arguments["alone"]:
        current.write(lambda connection: jobs.plan(connection, job_id, len(given.queries), "rows"))

    def make() -> Made:
        began = time.time()
        question, means = _question(given, spec), means_of(current.settings, given)
        plan, counting = plan_search(question, means), 0.0
        if spec.radii is not None:
            counting = predict_counting(question, spec.radii, means)
        numbers = [_parts(seconds, plan.tiles, living) for seconds in (plan.seconds, counting)]
        return plan.arrays(), plan.facts() | {"search": numbers[0], "count": numbers[1], "began": began}

    sha256 = _stage(arguments | {"plan": _NO_PLAN}, progress, "plan", make)
    manifest = _folder(arguments, "plan", sha256).manifest
    return {"plan": sha256, "search": manifest["search"], "count": manifest["count"]}


def search_one_part(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """Search part `arguments["part"]`; returns the checksum of its state."""
    spec, given, part = _spec(arguments), _input(arguments), _part(arguments)
    tick = partial(_tick_rows, progress, _rows(given, spec, part))

    def make() -> Made:
        plan = read_plan(*_read(arguments, "plan", arguments["plan"]))
        means = means_of(runtime().settings, given)
        state, search = search_part(_question(given, spec), plan, part, means, tick)
        encoding = search.database.encoding
        return state_arrays(state), {"format": encoding.name, "fused": search.fused, "device": str(means.device)}

    sha256 = _stage(arguments, progress, _name("search", part.number), make)
    progress(_rows(given, spec, part), final=True)
    return {"sha256": sha256}


def count_one_part(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """Count the pairs of part `arguments["part"]` within the radii; returns the checksum of the counts."""
    spec, given, part = _spec(arguments), _input(arguments), _part(arguments)
    tick = partial(_tick_rows, progress, _rows(given, spec, part))

    def make() -> Made:
        plan = read_plan(*_read(arguments, "plan", arguments["plan"]))
        means = replace(means_of(runtime().settings, given), tile=plan.tile)
        order, radii = _question(given, spec).order.numpy(), spec.radii or []
        counts = count_within(given.database, order, radii, codes=given.codes, means=means, part=part, tick=tick)
        return {"counts": counts}, {}

    sha256 = _stage(arguments, progress, _name("count", part.number), make)
    progress(_rows(given, spec, part), final=True)
    return {"sha256": sha256}


def draw_null(job_id: str, arguments: Arguments, progress: SegmentProgress) -> Arguments:
    """The null model, while others search; returns its checksum."""
    spec, given = _spec(arguments), _input(arguments)

    def make() -> Made:
        progress(0)
        source, _ = sets_of(spec)
        spectrum = covariance_spectrum(given.database, source.mean())
        sizes = prefix_sizes(len(given.database), spec.fractions)
        null = gaussian_null(spectrum, sizes, queries=runtime().settings.null_queries, seed=spec.seed)
        return {f"distances_{at}": part for at, part in enumerate(null.distances)}, {"rank": null.rank}

    return {"sha256": _stage(arguments, progress, "null", make)}


def gather_parts(given: SearchInput, arguments: Arguments, progress: SegmentProgress) -> Found:
    """Merge the states of all parts and settle what they leave open.

    Raises:
        CorruptArtifact: a part is missing, damaged, or of another plan.
    """
    began, spec, split = time.perf_counter(), _spec(arguments), arguments["split"]
    plan_arrays, facts = _read(arguments, "plan", split["plan"])
    question = _question(given, spec)
    states, abouts = [_name("search", number) for number in range(len(split["search"]))], []

    def merged(search: Search) -> CandidateState:
        whole = None
        for name, sha256 in zip(states, split["search"], strict=True):
            arrays, about = _read(arguments, name, sha256)
            state = read_state(arrays)
            whole = state if whole is None else merge_candidates(whole, state, search.prefixes)
            abouts.append(about)
            progress(0)
        assert whole is not None
        return whole

    parts, work = settle_parts(question, read_plan(plan_arrays, facts), merged)
    settled, counts, count_s = time.perf_counter(), None, 0.0
    for number, sha256 in enumerate(split["count"]):
        arrays, about = _read(arguments, _name("count", number), sha256)
        counts = arrays["counts"] if counts is None else counts + arrays["counts"]
        count_s += about["work_s"]
    told = asdict(replace(work, fused=any(about["fused"] for about in abouts)))
    told |= {"engine_asked": spec.engine, "resident": means_of(runtime().settings, given).resident}
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
    arrays, about = _read(arguments, "null", arguments["split"]["null"][0])
    return GaussianNull([arrays[f"distances_{at}"] for at in range(len(sizes))], about["rank"])


def _about_parts(split: Arguments, abouts: list[dict[str, Any]]) -> dict[str, Any]:
    found = {name: sorted({str(about[name]) for about in abouts}) for name in ("format", "device", "worker")}
    return {"search": len(split["search"]), "count": len(split["count"])} | found


def _stage(arguments: Arguments, progress: SegmentProgress, name: str, make: Callable[[], Made]) -> str:
    """The checksum of a staged part: one that is there and sound is kept, else it is made."""
    root = _root(arguments["report"])
    found = _sound(arguments, name)
    if found is not None:
        return found
    shutil.rmtree(root / name, ignore_errors=True)
    began = time.perf_counter()
    arrays, facts = make()
    about = {"kind": "part", "plan": arguments["plan"], "worker": runtime().worker} | facts
    with own_staging(root, name, progress.attempt) as folder:
        save_tensors(folder / _ARRAYS, {key: np.ascontiguousarray(array) for key, array in arrays.items()})
        about |= {"files": [describe_file(folder / _ARRAYS)], "work_s": time.perf_counter() - began}
        write_manifest(folder, about)
        runtime().write(progress.check)
        publish_folder(folder, root / name)
    return sha256_file(root / name / MANIFEST)


def _sound(arguments: Arguments, name: str) -> str | None:
    """The checksum of a part that an earlier owner of its segment has left, of this plan and undamaged."""
    try:
        sha256 = sha256_file(_root(arguments["report"]) / name / MANIFEST)
        _read(arguments, name, sha256)
    except (OSError, CorruptArtifact):
        return None
    return sha256


def _read(arguments: Arguments, name: str, sha256: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a staged part and what its manifest says.

    Raises:
        CorruptArtifact: it is missing, damaged, or of another plan.
    """
    folder = _folder(arguments, name, sha256)
    of = _NO_PLAN if name == "plan" else arguments["plan"]
    if folder.manifest.get("plan") != of:
        raise CorruptArtifact("a part of a search belongs to another plan")
    return load_file(folder.file(_ARRAYS)), folder.manifest


def _folder(arguments: Arguments, name: str, sha256: str) -> ArtifactFolder:
    return ArtifactFolder(_root(arguments["report"]) / name, sha256)


def _root(report_id: str) -> Path:
    """Where the parts of a report's search are; among what is collected when it is published."""
    return runtime().settings.staging_root / f"{report_id}.parts"


def _name(kind: str, number: int) -> str:
    return f"{kind}-{number:05d}"


def _parts(seconds: float, tiles: int, living: int) -> int:
    """Parts of about the wanted length, a multiple of the living workers, so that none waits for the last one."""
    wanted = ceil(seconds / runtime().settings.search_segment_s)
    if wanted <= 1:
        return 1
    return min(tiles, ceil(wanted / max(1, living)) * max(1, living))


def _rows(given: SearchInput, spec: RadiusSpec, part: Part) -> int:
    """Of the job's progress, what this part is: all parts of search and counts together are the rows that ask."""
    halves = 1 if spec.radii is None else 2
    n = len(given.queries) // halves
    return n * (part.number + 1) // part.of - n * part.number // part.of


def _tick_rows(progress: SegmentProgress, rows: int, share: float) -> None:
    progress(int(share * rows))


def _part(arguments: Arguments) -> Part:
    return Part(arguments["part"], arguments["parts"])


def _spec(arguments: Arguments) -> RadiusSpec:
    return RadiusSpec(**{name: arguments[name] for name in RadiusSpec.model_fields if name in arguments})


def _input(arguments: Arguments) -> SearchInput:
    spec = _spec(arguments)
    return read_input(spec, *sets_of(spec))


def _question(given: SearchInput, spec: RadiusSpec) -> Question:
    n = len(given.database)
    return Question(
        given.database,
        seeded_permutation(n, spec.seed),
        prefix_sizes(n, spec.fractions),
        k=spec.k,
        codes=given.codes,
        queries=None if given.queries is given.database else given.queries,
        query_codes=given.query_codes,
    )
