"""The workflow of a radius job: one segment; for a large search a plan, its parts on all workers, and the report."""

from __future__ import annotations

from itertools import pairwise

from dbos import DBOS

from service.catalog import activations, workers
from service.contracts.radius import RadiusSpec
from service.ids import derived_id
from workers.flows.engine.dispatching import JobExecution, Pending, gather, job
from workers.flows.engine.runtime import Runtime, runtime
from workers.flows.engine.segments import SegmentKind
from workers.flows.radius.arguments import (
    COUNT,
    NULL,
    PLAN,
    RADIUS,
    SEARCH,
    SETTLE,
    PartArguments,
    PlanArguments,
    Planned,
    ReportArguments,
    SearchArguments,
    SettleArguments,
    Staged,
    StagedParts,
)

_GPU_WORK = 200.0  # what a GPU does in the time in which a CPU's cores do one: a search of so much takes seconds


@job("radius")
def radius(execution: JobExecution, spec: RadiusSpec) -> None:
    """An activation set → its radius report."""
    measure(execution, spec, position=0, sets_total=True)


def measure(execution: JobExecution, spec: RadiusSpec, *, position: int, sets_total: bool = False) -> str:
    """Make the radius report at that position among the job's and return its id; `sets_total` as `PlanArguments`."""
    report = derived_id("radius", execution.job_id, position)
    arguments = ReportArguments(spec=spec, report=report, sets_total=sets_total)
    if _is_large(spec):
        arguments = _search_in_parts(execution, arguments, position)
    execution.run(RADIUS, f"radius-{position:02d}", arguments)
    return report


def _search_in_parts(execution: JobExecution, arguments: ReportArguments, position: int) -> ReportArguments:
    """Plan the search, draw the null model meanwhile, search the parts and settle ranges of the queries.

    Returns:
        The arguments of the report.
    """
    spec, report = arguments.spec, arguments.report
    planning = execution.enqueue(
        PLAN, f"split-{position:02d}", PlanArguments(spec=spec, report=report, sets_total=arguments.sets_total)
    )
    drawing = []
    if spec.reference in (None, spec.activations):
        drawing = [execution.enqueue(NULL, f"null-{position:02d}", SearchArguments(spec=spec, report=report))]
    (planned,) = gather([planning], beside=drawing)
    if len(planned.search) == len(planned.count) == 1:
        return ReportArguments(spec=spec, report=report, null=next(iter(_digests(gather(drawing))), None))
    searches = _enqueue_parts(execution, SEARCH, planned.search, arguments, planned.plan, position)
    counts = []
    if spec.radii is not None:
        counts = _enqueue_parts(execution, COUNT, planned.count, arguments, planned.plan, position)
    searched = _digests(gather(searches, beside=[*drawing, *counts]))
    settles = _enqueue_ranges(execution, planned, searched, arguments, position)
    found = _digests(gather([*drawing, *counts, *settles]))
    null, counted, settled = found[: len(drawing)], found[len(drawing) : -len(settles)], found[-len(settles) :]
    parts = StagedParts(plan=planned.plan, search=searched, count=counted, settle=settled)
    return ReportArguments(spec=spec, report=report, parts=parts, null=next(iter(null), None))


def _enqueue_parts(
    execution: JobExecution,
    kind: SegmentKind[PartArguments, Staged],
    stops: list[int],
    search: SearchArguments,
    plan: str,
    position: int,
) -> list[Pending[Staged]]:
    """Enqueue one segment of that kind for each part of a planned search."""
    spec, report = search.spec, search.report
    return [
        execution.enqueue(
            kind,
            f"{kind.name}-{position:02d}-{number:05d}",
            PartArguments(spec=spec, report=report, plan=plan, number=number, part=part),
        )
        for number, part in enumerate(_parts(stops))
    ]


def _enqueue_ranges(
    execution: JobExecution, planned: Planned, searched: list[str], search: SearchArguments, position: int
) -> list[Pending[Staged]]:
    """Enqueue one segment for each range of the queries of a search whose parts have ended."""
    shared = {"spec": search.spec, "report": search.report, "plan": planned.plan, "search": searched}
    return [
        execution.enqueue(SETTLE, f"settle-{position:02d}-{number:05d}", SettleArguments(**shared, number=number))
        for number in range(len(planned.settle))
    ]


def _digests(staged: list[Staged]) -> list[str]:
    return [each.sha256 for each in staged]


def _parts(stops: list[int]) -> list[tuple[int, int, int]]:
    """First tile, tile after the last and number of all tiles, for each part."""
    return [(start, stop, stops[-1]) for start, stop in pairwise([0, *stops])]


def _is_large(spec: RadiusSpec) -> bool:
    """Whether a search is worth a plan: an exact one of many pairs."""
    if spec.engine not in ("auto", "exact"):
        return False
    return _is_large_search(spec.activations, spec.reference, spec.fractions[-1])


@DBOS.step(name="_is_large")
def _is_large_search(activation_set: str, reference: str | None, fraction: float) -> bool:
    current = runtime()
    queries, _ = current.read(lambda connection: activations.get(connection, activation_set))
    database = queries
    if reference is not None:
        database, _ = current.read(lambda connection: activations.get(connection, reference))
    rows = database.n * fraction
    pairs = rows**2 / 2 if reference in (None, activation_set) else rows * queries.n
    return pairs * queries.d_model >= current.settings.search_split_work * (_GPU_WORK if _on_gpus(current) else 1)


def _on_gpus(current: Runtime) -> bool:
    lease_s = current.settings.lease_s
    return workers.on_gpus(current.read(lambda connection: workers.devices(connection, "compute-", lease_s)))
