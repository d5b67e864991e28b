"""Arguments and result of the segment of an energy job."""

from __future__ import annotations

from service.contracts.base import Identifier
from service.contracts.energy import EnergySpec
from workers.flows.engine.segments import SegmentKind, SegmentModel


class EnergyArguments(SegmentModel):
    """The spec and the id of a report.

    Attributes:
        report: its id.
        sets_total: the report is the whole job, so that its rows are the job's total.
    """

    spec: EnergySpec
    report: Identifier
    sets_total: bool = False


class EnergyReported(SegmentModel):
    """The id of the published report."""

    report: Identifier


ENERGY = SegmentKind("energy", EnergyArguments, EnergyReported)
