"""Jobs: the request, the state, the products."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from service.contracts.base import Contract, Identifier, JobState, Labels, Notice, RequestContract, Text, WorkerRole
from service.contracts.energy import AnalysisEnergy, EnergySpec
from service.contracts.extraction import ExtractionSpec
from service.contracts.radius import RadiusOptions, RadiusSpec
from service.contracts.reproduction import ReproductionSpec
from service.contracts.spec_fields import SpecSchema
from service.contracts.sweeps import SweepSpec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec, TrainingSpec

JobKind = Literal["extraction", "radius", "energy", "analysis", "training", "sweep", "reproduction"]
OPEN_STATES: frozenset[str] = frozenset({"queued", "running", "cancelling"})
FINAL_STATES: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


class AnalysisSpec(ExtractionSpec):
    """An extraction, then the radius of each site, then energies."""

    radius: RadiusOptions | None = Field(default=RadiusOptions(), description="null: no radius is measured")
    energy: AnalysisEnergy | None = Field(default=None, description="null: no energy is measured")


JobSpec = ExtractionSpec | RadiusSpec | EnergySpec | AnalysisSpec | TrainingSpec | SweepSpec | ReproductionSpec
SPECS: dict[str, list[type[RequestContract]]] = {
    "extraction": [ExtractionSpec],
    "radius": [RadiusSpec],
    "energy": [EnergySpec],
    "analysis": [AnalysisSpec],
    "training": [QuestionFormationSpec, OpenELMSpec],
    "sweep": [SweepSpec],
    "reproduction": [ReproductionSpec],
}
_TYPED = SpecSchema(*(spec for specs in SPECS.values() for spec in specs))


class JobRequest(RequestContract):
    """Body of `POST /v1/jobs`; `spec` is read by `kind`, or is `{"preset": id, …overrides}`."""

    kind: JobKind
    spec: Annotated[dict[str, Any], _TYPED]
    priority: Annotated[int, Field(ge=1, le=1000)] = Field(default=50, description="lower runs first")
    labels: Labels = {}
    timeout_s: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="longest time from start to end; a job that takes longer fails"
    )


class Progress(Contract):
    """Progress of a job; `rate` is in units per second, `eta_s` is null while unknown."""

    done: int = 0
    total: int | None = None
    unit: str = "rows"
    rate: float | None = None
    eta_s: float | None = None
    stage: str | None = None


class JobResult(Contract):
    """A product of a job."""

    type: Literal["activations", "radius", "energy", "profile", "training", "sweep", "reproduction"]
    site: str | None
    id: Identifier
    href: str


class Job(Contract):
    """`GET /v1/jobs/{id}`."""

    id: Identifier
    kind: JobKind
    state: JobState
    spec: dict[str, Any]
    priority: int
    labels: dict[str, str]
    timeout_s: float | None = None
    progress: Progress
    error: dict[str, str] | None
    warnings: list[Notice]
    result: JobResult | None = Field(description="the first product")
    results: list[JobResult]
    retries: int = Field(default=0, description="how often it was continued by `retry`")
    waiting_for: WorkerRole | None = Field(
        default=None, description="role that the job needs and that has no live worker; it goes on with one"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    def __repr__(self) -> str:
        products = "".join(f", {result.id}" for result in self.results)
        return f"<{self.kind} {self.id}: {self.state}{products}>"

    __str__ = __repr__


class JobEvent(Contract):
    """A change of a job; ids increase, and are the cursor and the `Last-Event-ID`."""

    id: int
    job: Identifier
    type: str = Field(
        description="queued, running, planned (total known), result, warning, reused, cancelling, or a final state"
    )
    data: dict[str, Any]
    created_at: datetime


class Preset(Contract):
    """A named spec; `stated` comes from the paper, `assumed` is ours where the paper is silent."""

    id: Text
    kind: JobKind
    title: str
    spec: dict[str, Any]
    stated: list[str]
    assumed: list[str]
