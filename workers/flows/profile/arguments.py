"""Arguments and result of the segment of a profile."""

from __future__ import annotations

from service.contracts.base import Identifier
from workers.flows.engine.segments import SegmentKind, SegmentModel


class ProfileArguments(SegmentModel):
    """The id of the profile, and the published radius reports that it is made of."""

    profile: Identifier
    reports: list[Identifier]


class Profiled(SegmentModel):
    """The id of the published profile."""

    profile: Identifier


PROFILE = SegmentKind("profile", ProfileArguments, Profiled)
