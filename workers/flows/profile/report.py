"""Segment: the radius reports of an analysis → its profile and the figure, published."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from service.artifacts.activation_set import ActivationSet
from service.artifacts.report import FIGURE, ProfileFolder, ReportFolder, write_report
from service.catalog import activations, jobs
from service.catalog import profiles as catalog
from service.catalog import radius as radius_catalog
from service.catalog.engine import Connection
from service.contracts.base import now
from service.contracts.profile import Profile, ProfileSite
from service.contracts.radius import RadiusReport
from service.provenance import provenance
from workers.figures.profile import draw_profile_figure
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.engine.segments import runs
from workers.flows.profile.arguments import PROFILE, ProfileArguments, Profiled
from workers.flows.profile.fields import profile_site
from workers.flows.publishing import Change, Draft, publish

_PACKAGES = ("numpy", "matplotlib")


@runs(PROFILE)
def make_profile(arguments: ProfileArguments, owner: SegmentOwner) -> Profiled:
    """Read the reports and publish the profile; a sound one that an earlier owner published is kept."""
    target = owner.runtime.artifact(arguments.profile)
    draft = Draft(target, partial(_write_profile, arguments, owner))
    publish(owner, [draft], record=partial(_recorded, owner.job_id, target))
    return Profiled(profile=arguments.profile)


def _recorded(job_id: str, target: Path, digests: list[str]) -> Change:
    """The change that makes the profile visible: its row and the job's result."""
    found = ProfileFolder(target, digests[0]).profile()
    row = found.model_dump(include={"id", "job", "name", "d_model", "n", "created_at"})
    row |= {"sites": len(found.sites), "sha256": digests[0]}

    def record(connection: Connection) -> None:
        catalog.publish(connection, row)
        jobs.add_result(connection, job_id, "profile", None, found.id)

    return record


def _write_profile(arguments: ProfileArguments, owner: SegmentOwner, folder: Path) -> None:
    current = owner.runtime
    reports = [_report(report_id, current) for report_id in arguments.reports]
    sites = sorted((_site(report, current) for report in reports), key=lambda site: site.depth)
    last = reports[-1]
    profile = Profile(
        id=arguments.profile,
        job=owner.job_id,
        name=last.name.removesuffix(f" {last.site}"),
        d_model=last.d_model,
        n=last.n,
        sites=sites,
        warnings=[],
        provenance=provenance(_PACKAGES),
        created_at=now(),
    )
    write_report(folder, "profile", profile, draw_profile_figure(profile, folder / FIGURE))


def _report(report_id: str, current: Runtime) -> RadiusReport:
    _, sha256 = current.read(lambda connection: radius_catalog.get(connection, report_id))
    return ReportFolder(current.artifact(report_id), sha256).report()


def _site(report: RadiusReport, current: Runtime) -> ProfileSite:
    summary, statistics = current.read(lambda connection: activations.get(connection, report.activations))
    layer = ActivationSet(current.artifact(summary.id), summary.sha256).manifest["layer"]
    return profile_site(report, statistics, layer)
