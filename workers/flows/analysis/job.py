"""The workflows of all job kinds but trainings: on the control worker they plan segments and wait, without torch."""

from __future__ import annotations

from itertools import islice, pairwise

from dbos import DBOS

from service.artifacts.manifest import digest_of
from service.catalog import activations, corpora
from service.ids import derived_id
from service.jobs.engine import CALIBRATE_WORKFLOW, SCAN_WORKFLOW
from workers.flows.engine.dispatching import Spec, as_error, gather, guard, plan, segment, shared, workflow
from workers.flows.engine.runtime import runtime
from workers.flows.engine.waiting import result_of


@workflow("extraction")
def extraction(job_id: str) -> None:
    """Chunks of a corpus → activation sets."""
    guard(job_id, _extract)


@workflow("radius")
def radius(job_id: str) -> None:
    """An activation set → its radius report."""
    guard(job_id, lambda job, spec: _measure(job, spec["activations"], spec, position=0, alone=True))


@workflow("energy")
def energy(job_id: str) -> None:
    """Activation sets, as layers → their energy report."""
    guard(job_id, lambda job, spec: _evaluate(job, spec["activations"], spec, position=0, alone=True))


@workflow("analysis")
def analysis(job_id: str) -> None:
    """An extraction, then the radius of each of its sets, then their energies."""
    guard(job_id, _analyse)


@workflow(SCAN_WORKFLOW)
def scan(corpus_id: str) -> None:
    """Count a corpus, outside any job."""
    try:
        result_of(segment(f"scan-{corpus_id}", "scan", "scan", {"corpus": corpus_id, "priority": 1}))
    except Exception as error:
        _record_scan_failure(corpus_id, as_error(error).as_dict())


@workflow(CALIBRATE_WORKFLOW)
def calibrate(name: str) -> None:
    """Measure how fast the worker is that takes it, outside any job."""
    result_of(segment(name, "calibrate", "calibrate", {"priority": 1}))


def _analyse(job_id: str, spec: Spec) -> None:
    sets, common = _extract(job_id, spec), shared(spec)
    if spec["radius"] is not None:
        for position, set_id in enumerate(sets):
            _measure(job_id, set_id, spec["radius"] | common, position=position)
    if spec["energy"] is not None:
        groups = [sets] if spec["energy"]["layers"] == "together" else [[set_id] for set_id in sets]
        for position, layers in enumerate(groups):
            _evaluate(job_id, layers, spec["energy"] | {"queries": None, "builtin": None} | common, position=position)


def _extract(job_id: str, spec: Spec) -> list[str]:
    """Sample, then one segment per shard, then publish; returns the ids of the activation sets, one per site.

    Where finished sets of this very sample are there, the sample has made them the job's results.
    """
    sample = result_of(segment(job_id, "sample", "sample", spec))
    passes = sum(len(spec["sites"]) for part in ("radius", "energy") if spec.get(part) is not None)
    reused = sample.get("reused")
    total = sample["chunks"] + passes * sample["rows"]
    if reused is not None:
        total = passes * sample["rows"] or sample["chunks"]
    plan(job_id, total, "rows", spec["chunks"], sample["chunks"])
    if reused is not None:
        return reused
    names = [f"extract-{index:05d}" for index in range(sample["shards"])]
    handles = [segment(job_id, name, "extract", spec | {"shard": index}) for index, name in enumerate(names)]
    written = digest_of(shard["sha256"] for shard in gather(handles))
    whole = {"shards": sample["shards"], "sha256": written}
    published = result_of(segment(job_id, "publish", "publish", spec | whole))
    return published["sets"]


def _measure(job_id: str, set_id: str, options: Spec, *, position: int, alone: bool = False) -> None:
    """The radius of one set; `alone` when it is the whole job, whose size is then not known before."""
    report_id = derived_id("radius", job_id, position)
    arguments = options | {"activations": set_id, "report": report_id, "alone": alone}
    if _is_large(set_id, options):
        arguments |= _search_in_parts(job_id, arguments, position)
    result_of(segment(job_id, f"radius-{position:02d}", "radius", arguments))


def _search_in_parts(job_id: str, arguments: Spec, position: int) -> Spec:
    """Plan a search, draw the null model meanwhile, and let all workers do its parts.

    Returns what the radius segment has to know of them.
    """
    planning = segment(job_id, f"split-{position:02d}", "split", arguments)
    own = arguments.get("reference") in (None, arguments["activations"])
    drawing = [segment(job_id, f"null-{position:02d}", "null", arguments)] if own else []
    (split,) = gather([planning], beside=drawing)
    if len(split["search"]) == len(split["count"]) == 1:
        return {"alone": False, "null": [drawn["sha256"] for drawn in gather(drawing)]}
    kinds = ["search"] if arguments["radii"] is None else ["search", "count"]
    arguments = arguments | {"plan": split["plan"]}
    parts = [
        segment(job_id, f"{kind}-{position:02d}-{number:05d}", kind, arguments | {"number": number, "part": part})
        for kind in kinds
        for number, part in enumerate(_parts(split[kind]))
    ]
    digests = iter([done["sha256"] for done in gather([*drawing, *parts])])
    null = list(islice(digests, len(drawing)))
    made = {"count": []} | {kind: list(islice(digests, len(split[kind]))) for kind in kinds}
    return {"alone": False, "plan": split["plan"], "null": null, "split": made | {"plan": split["plan"]}}


def _parts(stops: list[int]) -> list[tuple[int, int, int]]:
    """Start and stop of each part, among all pieces."""
    return [(start, stop, stops[-1]) for start, stop in pairwise([0, *stops])]


def _evaluate(job_id: str, sets: list[str], options: Spec, *, position: int, alone: bool = False) -> None:
    """The energies among some sets; `alone` as in `_measure`."""
    report_id = derived_id("energy", job_id, position)
    arguments = options | {"activations": sets, "report": report_id, "alone": alone}
    result_of(segment(job_id, f"energy-{position:02d}", "energy", arguments))


@DBOS.step(name="_is_large")
def _is_large(set_id: str, options: Spec) -> bool:
    """Whether an exact search is worth a plan; small ones and other engines' are one segment."""
    if options["engine"] not in ("auto", "exact"):
        return False
    current, other = runtime(), options.get("reference")  # an analysis has none
    asking, _ = current.read(lambda connection: activations.get(connection, set_id))
    searched = asking if other is None else current.read(lambda connection: activations.get(connection, other))[0]
    rows = searched.n * options["fractions"][-1]
    pairs = rows * asking.n if other not in (None, set_id) else rows**2 / 2
    return pairs * asking.d_model >= current.settings.search_split_work


@DBOS.step(name="_record_scan_failure")
def _record_scan_failure(corpus_id: str, error: dict[str, str]) -> None:
    runtime().write(lambda connection: corpora.record_failure(connection, corpus_id, error))
