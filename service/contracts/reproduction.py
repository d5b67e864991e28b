"""A reproduction: the spec of the job, and the report with a verdict for every claim."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from service.contracts.base import Contract, Identifier, Name, Notice, RequestContract, Seed, Text
from service.contracts.claims import ClaimId, PartName, Scale, Verdict
from service.contracts.statistics import Interval

REPORT_FORMATS = ("json", "md", "html")


def _distinct(claims: list[str]) -> list[str]:
    if len(set(claims)) != len(claims):
        raise ValueError("a claim is named twice")
    return claims


class ReproductionSpec(RequestContract):
    """Body of a `reproduction` job."""

    preset: Text | None = Field(default=None, description="the preset these values came from")
    scale: Scale = Field(default="smoke", description="smoke: minutes; small: two hours on two cores; paper: GPU days")
    model: Text | None = Field(
        default=None,
        description="hub id or folder under the models root; null: that of the scale, and the demo's where the hub is "
        "away (trained first where it is missing); paper: GPT-2 medium",
    )
    corpus: Text | None = Field(
        default=None, description="id or name of a corpus; null: python-docs, or at scale paper openwebtext"
    )
    claims: Annotated[list[ClaimId], Field(min_length=1), AfterValidator(_distinct)] | None = Field(
        default=None, description="null: all"
    )
    seed: Seed = 0


class ReproductionNumber(Contract):
    """A line of a claim's table."""

    name: str
    value: float | str | None
    interval: Interval | None = None


class ChartMark(Contract):
    """A value, with its interval where it has one."""

    label: str
    value: float
    interval: Interval | None = None


class ChartCurve(Contract):
    """A curve through (x, y)."""

    label: str
    x: list[float]
    y: list[float]


class ClaimChart(Contract):
    """The data of a claim's figure: marks beside a reference, or curves."""

    title: str
    unit: str
    marks: list[ChartMark] = []
    curves: list[ChartCurve] = []
    x_label: str | None = None
    reference: float | None = None
    reference_label: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw: the figure has no file then."""
        return not self.marks and not any(curve.x for curve in self.curves)


class PartRun(Contract):
    """One job that was run for some claims."""

    part: PartName
    kind: str
    preset: str | None
    job: Identifier | None = Field(description="null: it was not submitted")
    state: str
    reused: bool = Field(default=False, description="a finished job of an equal spec was used")
    seed: int | None = None
    model: str | None = None
    corpus: str | None = None
    hashes: dict[str, str] = Field(default={}, description="SHA-256 of model, corpus, chunks or data")
    products: list[str] = Field(default=[], description="links")
    error: dict[str, str] | None = None


class ClaimResult(Contract):
    """One claim of the report; verdict and reason are computed from the numbers beside them."""

    id: ClaimId
    where: str
    statement: str = Field(description="in our words")
    printed: float | str | None = Field(description="the paper's number or formula")
    unit: str | None
    measured: float | None
    interval: Interval | None = Field(description="95 %")
    null: float | None = Field(description="what the null model gives")
    tolerance: float | None
    verdict: Verdict
    reason: str = Field(description="one sentence")
    rule: str
    evidence: list[str] = Field(description="links to jobs and reports")
    scale: Scale
    numbers: list[ReproductionNumber] = []
    chart: ClaimChart | None = None
    runs: list[PartName] = Field(default=[], description="parts whose jobs gave the numbers")


class NotRun(Contract):
    """A claim without numbers, and what they would cost."""

    claim: ClaimId
    reason: str
    cost: str | None = Field(default=None, description="from the estimate of its parts")


class Erratum(Contract):
    """An error of a formula in the paper, and its correction."""

    where: str
    text: str


class ReproductionReport(Contract):
    """`GET /v1/reproductions/{id}/report.json`."""

    id: Identifier
    job: Identifier
    scale: Scale
    seed: int
    model: str
    corpus: str
    complete: bool = Field(description="false: parts still run, and the report will be published anew")
    claims: list[ClaimResult]
    not_run: list[NotRun]
    errata: list[Erratum]
    runs: list[PartRun]
    warnings: list[Notice]
    provenance: dict[str, Any]
    created_at: datetime


class ReproductionSummary(Contract):
    """A row of `GET /v1/reproductions`, and `GET /v1/reproductions/{id}`."""

    id: Identifier
    job: Identifier
    name: Name
    scale: Scale
    model: str
    corpus: str
    verdicts: dict[str, Verdict] = Field(description="by claim")
    complete: bool
    created_at: datetime
    href: str
