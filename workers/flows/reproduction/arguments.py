"""Arguments and results of the segments of a reproduction."""

from __future__ import annotations

from service.contracts.base import Identifier, Notice
from service.contracts.claims import PartName
from service.contracts.jobs import JobResult
from service.contracts.reproduction import ReproductionSpec
from service.contracts.statistics import Interval
from workers.flows.engine.segments import SegmentKind, SegmentModel


class ModelArguments(SegmentModel):
    """The spec of the reproduction."""

    spec: ReproductionSpec


class PreparedModel(SegmentModel):
    """The model that is measured, and why it is another than the one that was named."""

    model: str
    warnings: list[Notice]


class HeldOutArguments(SegmentModel):
    """The sets whose documents are halved by the seed."""

    activations: list[Identifier]
    seed: int


class HeldOutSite(SegmentModel):
    """Held-out points of one set in the balls of its other half."""

    site: str
    share: float | None
    interval: Interval | None
    points: int
    patterns: int
    reason: str | None


class HeldOutSites(SegmentModel):
    """One for each set."""

    sites: list[HeldOutSite]


class Submitted(SegmentModel):
    """The outcome of a part's request, as the job engine records it; `job` is null where `error` says why."""

    job: Identifier | None
    state: str
    reused: bool = False
    error: dict[str, str] | None = None


class Ended(SegmentModel):
    """The end of a part's job, as the job engine records it."""

    state: str
    error: dict[str, str] | None
    results: list[JobResult]


class PartOutcome(Submitted):
    """The state of a part's job."""

    part: PartName
    kind: str
    preset: str | None
    results: list[JobResult] = []


class ReportArguments(SegmentModel):
    """The input of a view of the report; `view` counts up.

    Attributes:
        settled: claims whose parts have ended, for the progress.
    """

    spec: ReproductionSpec
    report: Identifier
    model: str
    view: int
    complete: bool
    outcomes: list[PartOutcome]
    held_out: list[HeldOutSite]
    warnings: list[Notice]
    settled: int


class Reported(SegmentModel):
    """The id of the published report."""

    report: Identifier


MODEL = SegmentKind("model", ModelArguments, PreparedModel)
HELD_OUT = SegmentKind("held_out", HeldOutArguments, HeldOutSites)
REPORT = SegmentKind("report", ReportArguments, Reported)
