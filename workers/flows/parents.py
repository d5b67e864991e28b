"""The workflows of the job kinds. They run on the control worker, plan segments and wait; they import no torch.

A replay after a crash takes the same steps in the same order: everything that reads or writes is a step, and segments
have ids made from the job's, so that they are found again instead of started twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dbos import DBOS, PortableWorkflowError, WorkflowHandle, WorkflowSerializationFormat

from service.catalog import activations, corpora, jobs, workers
from service.catalog.engine import Connection
from service.errors import RadiusError, error_from_dict
from service.ids import derived_id
from service.jobs.engine import (
    CALIBRATE_WORKFLOW,
    COMPUTE_QUEUE,
    RUN_WORKFLOW,
    RUNS_QUEUE,
    SCAN_WORKFLOW,
    SEGMENT_WORKFLOW,
    TRAIN_QUEUE,
    options_for,
    run_id,
)
from service.jobs.submission import lacking
from workers.flows.runtime import runtime
from workers.flows.waiting import result_of

Spec = dict[str, Any]
_TRAINING_WAITS = 1000  # a training's segments come after those of every other job
_MAX_RECOVERY = 1000  # deaths of the control worker never fail a job


def _workflow(name: str) -> Callable[..., Any]:
    portable = WorkflowSerializationFormat.PORTABLE
    return DBOS.workflow(name=name, max_recovery_attempts=_MAX_RECOVERY, serialization_type=portable)


@_workflow("extraction")
def extraction(job_id: str) -> None:
    """Chunks of a corpus → activation sets."""
    _guard(job_id, _extract)


@_workflow("radius")
def radius(job_id: str) -> None:
    """An activation set → its radius report."""
    _guard(job_id, lambda job, spec: _measure(job, spec["activations"], spec, position=0, alone=True))


@_workflow("energy")
def energy(job_id: str) -> None:
    """Activation sets, as layers → their energy report."""
    _guard(job_id, lambda job, spec: _evaluate(job, spec["activations"], spec, position=0, alone=True))


@_workflow("analysis")
def analysis(job_id: str) -> None:
    """An extraction, then the radius of each of its sets, then their energies."""
    _guard(job_id, _analyse)


@_workflow("training")
def training(job_id: str) -> None:
    """A training run: prepared, then trained by one segment after another, then measured."""
    _guard(job_id, _train)


@_workflow("sweep")
def sweep(job_id: str) -> None:
    """A grid of training runs, and the table of them."""
    _guard(job_id, _sweep)


@_workflow(RUN_WORKFLOW)
def run(job_id: str, position: int, spec: Spec) -> None:
    """One run of a sweep; the table is made again when it has ended."""
    _train_run(job_id, spec, f"{position:04d}-")
    result_of(_segment(job_id, f"{position:04d}-tabulate", "tabulate", _shared(spec) | {"last": False}))


@_workflow(SCAN_WORKFLOW)
def scan(corpus_id: str) -> None:
    """Count a corpus, outside any job."""
    try:
        result_of(_segment(f"scan-{corpus_id}", "scan", "scan", {"corpus": corpus_id, "priority": 1}))
    except Exception as error:
        _record_scan_failure(corpus_id, _as_error(error).as_dict())


@_workflow(CALIBRATE_WORKFLOW)
def calibrate(name: str) -> None:
    """Measure how fast the worker is that takes it, outside any job."""
    result_of(_segment(name, "calibrate", "calibrate", {"priority": 1}))


def _guard(job_id: str, work: Callable[[str, Spec], object]) -> None:
    """Start the job, do its work, and record how it ended."""
    spec = _start(job_id)
    try:
        work(job_id, spec)
    except Exception as error:  # being cancelled or losing ownership is no Exception here
        _finish(job_id, "failed", _as_error(error).as_dict())
        raise
    _finish(job_id, "succeeded", None)


def _analyse(job_id: str, spec: Spec) -> None:
    sets, shared = _extract(job_id, spec), _shared(spec)
    if spec["radius"] is not None:
        for position, set_id in enumerate(sets):
            _measure(job_id, set_id, spec["radius"] | shared, position=position)
    if spec["energy"] is not None:
        groups = [sets] if spec["energy"]["layers"] == "together" else [[set_id] for set_id in sets]
        for position, layers in enumerate(groups):
            _evaluate(job_id, layers, spec["energy"] | {"queries": None, "builtin": None} | shared, position=position)


def _train(job_id: str, spec: Spec) -> None:
    spec = spec | {"priority": spec["priority"] + _TRAINING_WAITS}
    prepared = result_of(_segment(job_id, "prepare", "prepare", spec))
    _plan(job_id, prepared["steps"], "steps", 0, 0)
    spec |= {"run": prepared["run"], "owner": prepared["run"]}
    kept = _train_run(job_id, spec)
    if spec["radius"] is not None:
        for step in kept:
            result_of(_segment(job_id, f"trajectory-{step:08d}", "trajectory", spec | {"step": step}))


def _train_run(job_id: str, spec: Spec, prefix: str = "") -> list[int]:
    """Each segment says how far it came; a trainer, where one lives, has a device of its own for them.

    Returns:
        The steps of the kept models.
    """
    step = part = 0
    while step < spec["steps"]:
        queue = TRAIN_QUEUE if _trainer_lives() else COMPUTE_QUEUE
        arguments = spec | {"start": step}
        step = result_of(_segment(job_id, f"{prefix}train-{part:05d}", "train", arguments, queue))["step"]
        part += 1
    return result_of(_segment(job_id, f"{prefix}finish", "finish", spec))["kept"]


def _sweep(job_id: str, spec: Spec) -> None:
    """Runs go on side by side where there are workers for them, the first ones first; one that fails stops no other."""
    spec = spec | {"priority": spec["priority"] + _TRAINING_WAITS}
    prepared = result_of(_segment(job_id, "prepare", "prepare_sweep", spec))
    shared = {"owner": prepared["sweep"], "retry": spec["retry"]}
    _plan(job_id, sum(given["steps"] for given in prepared["runs"]), "steps", 0, 0)
    handles = []
    for position, given in enumerate(prepared["runs"]):
        arguments = given | shared | {"priority": spec["priority"] + position}
        parent = run_id(job_id, spec["retry"])
        options = options_for(RUN_WORKFLOW, RUNS_QUEUE, f"{parent}.run-{position:04d}", arguments["priority"])
        handles.append(DBOS.enqueue_workflow_with_options(options, job_id, position, arguments))
    failures = [error for error in map(_failure, handles) if error is not None]
    result_of(_segment(job_id, "tabulate", "tabulate", _shared(spec) | {"last": True}))
    if failures:
        raise failures[0]


def _shared(spec: Spec) -> Spec:
    """What every segment of a job is enqueued with."""
    return {"priority": spec["priority"], "retry": spec["retry"]}


def _failure(handle: WorkflowHandle[Any]) -> Exception | None:
    try:
        result_of(handle)
    except Exception as error:
        return error
    return None


def _extract(job_id: str, spec: Spec) -> list[str]:
    """Sample, then one segment per shard, then publish; returns the ids of the activation sets, one per site.

    Where finished sets of this very sample are there, the sample has made them the job's results.
    """
    sample = result_of(_segment(job_id, "sample", "sample", spec))
    passes = sum(len(spec["sites"]) for part in ("radius", "energy") if spec.get(part) is not None)
    reused = sample.get("reused")
    total = sample["chunks"] + passes * sample["rows"]
    if reused is not None:
        total = passes * sample["rows"] or sample["chunks"]
    _plan(job_id, total, "rows", spec["chunks"], sample["chunks"])
    if reused is not None:
        return reused
    names = [f"extract-{index:05d}" for index in range(sample["shards"])]
    handles = [_segment(job_id, name, "extract", spec | {"shard": index}) for index, name in enumerate(names)]
    _gather(handles)
    published = result_of(_segment(job_id, "publish", "publish", spec | {"shards": sample["shards"]}))
    return published["sets"]


def _measure(job_id: str, set_id: str, options: Spec, *, position: int, alone: bool = False) -> None:
    """The radius of one set; `alone` when it is the whole job, whose size is then not known before."""
    report_id = derived_id("radius", job_id, position)
    arguments = options | {"activations": set_id, "report": report_id, "alone": alone}
    if _is_large(set_id, options):
        arguments |= _search_in_parts(job_id, arguments, position)
    result_of(_segment(job_id, f"radius-{position:02d}", "radius", arguments))


def _search_in_parts(job_id: str, arguments: Spec, position: int) -> Spec:
    """Plan a search and let all workers do its parts; returns what the radius segment has to know of them."""
    plan = result_of(_segment(job_id, f"split-{position:02d}", "split", arguments))
    if plan["search"] == plan["count"] == 1:
        return {"alone": False}
    arguments = arguments | {"plan": plan["plan"]}
    numbers = {
        "null": 1 if arguments.get("reference") in (None, arguments["activations"]) else 0,  # the longest comes first
        "search": plan["search"],
        "count": 0 if arguments["radii"] is None else plan["count"],
    }
    handles = {
        kind: [
            _segment(job_id, f"{kind}-{position:02d}-{part:05d}", kind, arguments | {"part": part, "parts": parts})
            for part in range(parts)
        ]
        for kind, parts in numbers.items()
    }
    _gather([handle for of_kind in handles.values() for handle in of_kind])
    made = {kind: [result_of(handle)["sha256"] for handle in of_kind] for kind, of_kind in handles.items()}
    return {"alone": False, "plan": plan["plan"], "split": made | {"plan": plan["plan"]}}


def _evaluate(job_id: str, sets: list[str], options: Spec, *, position: int, alone: bool = False) -> None:
    """The energies among some sets; `alone` as in `_measure`."""
    report_id = derived_id("energy", job_id, position)
    arguments = options | {"activations": sets, "report": report_id, "alone": alone}
    result_of(_segment(job_id, f"energy-{position:02d}", "energy", arguments))


def _segment(job_id: str, name: str, function: str, arguments: Spec, queue: str = COMPUTE_QUEUE) -> WorkflowHandle[Any]:
    parent = run_id(job_id, arguments.get("retry", 0))
    options = options_for(SEGMENT_WORKFLOW, queue, f"{parent}.{name}", arguments["priority"])
    return DBOS.enqueue_workflow_with_options(options, job_id, name, function, arguments)


def _gather(handles: list[WorkflowHandle[Any]]) -> None:
    """Wait for all; when one fails, call off the rest, which the engine would let run on."""
    try:
        for handle in handles:
            result_of(handle)
    except Exception:
        DBOS.cancel_workflows([handle.get_workflow_id() for handle in handles])
        raise


@DBOS.step()
def _start(job_id: str) -> Spec:
    def start(connection: Connection) -> Spec:
        jobs.start(connection, job_id)
        job = jobs.get(connection, job_id)
        return job.spec | {"priority": job.priority, "retry": job.retries}

    return runtime().write(start)


@DBOS.step()
def _is_large(set_id: str, options: Spec) -> bool:
    """Whether an exact search is worth a plan; small ones and other engines' are one segment."""
    if options["engine"] not in ("auto", "exact"):
        return False
    current, other = runtime(), options.get("reference")  # an analysis has none
    with current.catalog.read() as connection:
        asking, _ = activations.get(connection, set_id)
        searched = asking if other is None else activations.get(connection, other)[0]
    rows = searched.n * options["fractions"][-1]
    pairs = rows * asking.n if other not in (None, set_id) else rows**2 / 2
    return pairs * asking.d_model >= current.settings.search_split_work


@DBOS.step()
def _trainer_lives() -> bool:
    current = runtime()
    with current.catalog.read() as connection:
        return workers.any_alive(connection, "train-", current.settings.lease_s)


@DBOS.step()
def _plan(job_id: str, total: int, unit: str, asked: int, found: int) -> None:
    def plan(connection: Connection) -> None:
        jobs.plan(connection, job_id, total, unit)
        jobs.warn(connection, job_id, lacking(asked, found, "chunks"))

    runtime().write(plan)


@DBOS.step()
def _finish(job_id: str, state: str, error: dict[str, str] | None) -> None:
    runtime().write(lambda connection: jobs.finish(connection, job_id, state, error))


@DBOS.step()
def _record_scan_failure(corpus_id: str, error: dict[str, str]) -> None:
    runtime().write(lambda connection: corpora.record_failure(connection, corpus_id, error))


def _as_error(error: Exception) -> RadiusError:
    """What a segment said of its failure; the engine's own errors (its limit on restarts) by their name."""
    data = error.data if isinstance(error, PortableWorkflowError) else None
    body = (
        data if isinstance(data, dict) else {"code": "internal", "detail": f"a segment ended by {type(error).__name__}"}
    )
    return error_from_dict({key: str(value) for key, value in body.items()})
