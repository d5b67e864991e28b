"""The workflow of a reproduction: submit the jobs of its parts, publish the report again after every one that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from service.contracts.base import Notice
from service.contracts.claims import PartName
from service.contracts.reproduction import ReproductionSpec
from service.errors import Cancelled, RadiusError, Superseded
from service.ids import derived_id
from service.reproduction.required_jobs import claims_of, model_of, needs_of, part_job, parts_of
from workers.flows.engine.dispatching import JobExecution, as_error, job, set_total
from workers.flows.reproduction.arguments import (
    HELD_OUT,
    MODEL,
    REPORT,
    HeldOutArguments,
    HeldOutSite,
    ModelArguments,
    PartOutcome,
    PreparedModel,
    ReportArguments,
)
from workers.flows.reproduction.children import await_end, blocks_of, submit

_MEASURED: tuple[PartName, ...] = ("analysis", "descent")  # parts of the model that is measured
_VIEWS = 1_000  # more than one execution publishes: those of a retry come after those of the one before
_FIRST = 1  # priority of the segments that publish: a reader waits for them


@dataclass
class _Progress:
    """The results of a reproduction so far."""

    model: str
    warnings: list[Notice] = field(default_factory=list)
    outcomes: dict[PartName, PartOutcome] = field(default_factory=dict)
    held_out: list[HeldOutSite] = field(default_factory=list)
    views: int = 0


@job("reproduction")
def reproduction(execution: JobExecution, spec: ReproductionSpec) -> None:
    """The jobs that the claims need → a report with a verdict for each. A part that fails is a claim not run."""
    parts, so_far = parts_of(spec), _Progress(model_of(spec), views=execution.retry * _VIEWS)
    set_total(execution.job_id, len(claims_of(spec)), "claims", [])
    _publish(execution, spec, so_far, complete=not parts)
    prepared = _prepare(execution, spec) if set(parts) & set(_MEASURED) else None
    if isinstance(prepared, PreparedModel):
        so_far.model, so_far.warnings = prepared.model, prepared.warnings
    if isinstance(prepared, RadiusError):
        so_far.outcomes |= {part: _refused(part, spec, so_far.model, prepared) for part in parts if part in _MEASURED}
    first: list[PartName] = [
        part for part in parts if part not in so_far.outcomes and (part != "descent" or "analysis" not in parts)
    ]
    started = {part: _submit(execution, spec, so_far.model, part, so_far) for part in first}
    for number, part in enumerate(parts, 1):
        if part not in so_far.outcomes:
            begun = started.get(part) or _submit(execution, spec, so_far.model, part, so_far)
            so_far.outcomes[part] = await_end(execution.job_id, begun)
        if part == "analysis":
            so_far.held_out = _held_out(execution, spec, so_far.outcomes[part])
        _publish(execution, spec, so_far, complete=number == len(parts))


def _prepare(execution: JobExecution, spec: ReproductionSpec) -> PreparedModel | RadiusError:
    try:
        return execution.run(MODEL, "model", ModelArguments(spec=spec))
    except Exception as error:
        return _own_error(error)


def _held_out(execution: JobExecution, spec: ReproductionSpec, outcome: PartOutcome) -> list[HeldOutSite]:
    """Assumption 2 on the sets of an analysis; none where it has none, or where the search fails."""
    sets = [result.id for result in outcome.results if result.type == "activations"]
    if outcome.state != "succeeded" or not sets:
        return []
    try:
        return execution.run(HELD_OUT, "held-out", HeldOutArguments(activations=sets, seed=spec.seed)).sites
    except Exception as error:
        reason = _own_error(error).detail
        return [HeldOutSite(site="all", share=None, interval=None, points=0, patterns=0, reason=reason)]


def _own_error(error: Exception) -> RadiusError:
    """The error of a segment; raises it where the whole job was cancelled or taken over."""
    known = as_error(error)
    if isinstance(known, Cancelled | Superseded):
        raise error
    return known


def _submit(
    execution: JobExecution, spec: ReproductionSpec, model: str, part: PartName, so_far: _Progress
) -> PartOutcome:
    blocks = None
    if part == "descent":
        analysis = so_far.outcomes.get("analysis")
        sets = [] if analysis is None else [each.id for each in analysis.results if each.type == "activations"]
        blocks = blocks_of(sets[0]) if sets else None
    return submit(execution.job_id, execution.retry, execution.priority, part_job(part, spec, model, blocks))


def _refused(part: PartName, spec: ReproductionSpec, model: str, error: RadiusError) -> PartOutcome:
    wanted = part_job(part, spec, model)
    return PartOutcome(
        part=part, kind=wanted.kind, preset=wanted.preset, job=None, state="refused", error=error.as_dict()
    )


def _publish(execution: JobExecution, spec: ReproductionSpec, so_far: _Progress, *, complete: bool) -> None:
    arguments = ReportArguments(
        spec=spec,
        report=derived_id("reproduction", execution.job_id),
        model=so_far.model,
        view=so_far.views,
        complete=complete,
        outcomes=list(so_far.outcomes.values()),
        held_out=so_far.held_out,
        warnings=so_far.warnings,
        settled=_claims_done(spec, list(so_far.outcomes)),
    )
    replace(execution, priority=_FIRST).run(REPORT, f"report-{so_far.views:06d}", arguments)
    so_far.views += 1


def _claims_done(spec: ReproductionSpec, ended: Sequence[PartName]) -> int:
    return sum(set(needs_of(claim.id, spec)) <= set(ended) for claim in claims_of(spec))
