"""Arguments and results of the segments of a radius job."""

from __future__ import annotations

from service.contracts.base import Identifier
from service.contracts.radius import RadiusSpec
from workers.flows.engine.segments import SegmentKind, SegmentModel


class SearchArguments(SegmentModel):
    """A search; `report` is the id of its report, under which its parts are staged."""

    spec: RadiusSpec
    report: Identifier


class PlanArguments(SearchArguments):
    """`sets_total`: the report is the whole job, so that its rows are the job's total."""

    sets_total: bool = False


class Planned(SegmentModel):
    """A staged plan.

    Attributes:
        plan: SHA-256 of its manifest.
        search, count: where the parts of the search and of the counts stop, among all tiles.
        settle: where the ranges of queries stop that are settled separately, among all blocks of 64.
    """

    plan: str
    search: list[int]
    count: list[int]
    settle: list[int]


class PartArguments(SearchArguments):
    """One part of a planned search.

    Attributes:
        plan: SHA-256 of the plan's manifest.
        number: the part's number.
        part: first tile, tile after the last, number of all tiles.
    """

    plan: str
    number: int
    part: tuple[int, int, int]


class SettleArguments(SearchArguments):
    """One range of the queries of a planned search.

    Attributes:
        plan: SHA-256 of the plan's manifest.
        number: the range's number.
        search: SHA-256 of the manifests of all parts of the search, in their order.
    """

    plan: str
    number: int
    search: list[str]


class Staged(SegmentModel):
    """SHA-256 of a staged part's manifest."""

    sha256: str


class StagedParts(SegmentModel):
    """SHA-256 of the manifests of a plan, of all parts and of all settled ranges, in their order."""

    plan: str
    search: list[str]
    count: list[str]
    settle: list[str]


class ReportArguments(PlanArguments):
    """The report of a search.

    Attributes:
        parts: staged parts of a search in parts; None where this segment searches.
        null: SHA-256 of a staged null model; None where this segment draws it.
    """

    parts: StagedParts | None = None
    null: str | None = None


class RadiusReported(SegmentModel):
    """The id of the published report."""

    report: Identifier


PLAN = SegmentKind("split", PlanArguments, Planned)
SEARCH = SegmentKind("search", PartArguments, Staged)
SETTLE = SegmentKind("settle", SettleArguments, Staged)
COUNT = SegmentKind("count", PartArguments, Staged)
NULL = SegmentKind("null", SearchArguments, Staged)
RADIUS = SegmentKind("radius", ReportArguments, RadiusReported)
