"""Costs of the claims that were not decided, from the estimates of their jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import get_args

from service.contracts.claims import BY_ID, Scale
from service.contracts.estimates import Estimate
from service.contracts.jobs import JobRequest
from service.contracts.reproduction import ClaimResult, NotRun, ReproductionSpec
from service.errors import RadiusError
from service.jobs.engine import JobEngine
from service.jobs.estimation import Estimation
from service.reproduction.required_jobs import model_of, needs_of, part_job
from service.sizes import shown_bytes
from workers.flows.engine.runtime import Runtime


def undecided(claims: Sequence[ClaimResult], spec: ReproductionSpec, current: Runtime) -> list[NotRun]:
    """The claims that were not run or not judged, each with the cost at the least scale that decides it."""
    found = [claim for claim in claims if claim.verdict in ("not_run", "not_at_this_scale")]
    if not found:
        return []
    costs: dict[tuple[str, Scale], str] = {}
    with closing(JobEngine(current.settings.resolved_database_url)) as engine:
        estimation = Estimation(current.catalog, engine, current.settings)
        return [
            NotRun(claim=claim.id, reason=claim.reason, cost=_cost(claim, spec, estimation, costs)) for claim in found
        ]


def _cost(
    claim: ClaimResult, spec: ReproductionSpec, estimation: Estimation, costs: dict[tuple[str, Scale], str]
) -> str | None:
    scales: tuple[Scale, ...] = get_args(Scale)
    scale: Scale = next(each for each in scales[scales.index(spec.scale) :] if each in BY_ID[claim.id].decided_at)
    larger = spec.model_copy(update={"scale": scale})
    listed = []
    for part in needs_of(claim.id, larger):
        if (part, scale) not in costs:
            wanted = part_job(part, larger, model_of(larger))
            request = JobRequest(kind=wanted.kind, spec=wanted.spec)
            try:
                costs[part, scale] = _shown(estimation.estimate(request))
            except RadiusError as error:
                costs[part, scale] = f"cannot run here: {error.detail}"
        listed.append(f"{part} {costs[part, scale]}")
    return f"At scale {scale}: {'; '.join(listed)}." if listed else None


def _shown(found: Estimate) -> str:
    time = "unknown time" if found.seconds is None else f"{found.seconds / 60:.3g} minutes by {found.workers} workers"
    return f"{time}, {shown_bytes(found.written_bytes)} of disk"
