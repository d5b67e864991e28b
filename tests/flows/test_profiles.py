"""A profile's sites and figure, from radius reports with and without statistics."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.artifacts.report import ReportFolder
from service.catalog import activations
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.contracts.base import now
from service.contracts.profile import Profile, ProfileSite
from service.contracts.sites import distinct_sites
from service.settings import Settings
from tests.api.products import publish_report, sample_vectors
from tests.api.support import ONCE
from workers.figures.profile import draw_profile_figure
from workers.flows.profile.fields import depth_of, profile_site


@pytest.mark.parametrize(
    ("site", "layer", "depth"),
    [
        ("blocks.0.hook_resid_pre", 0, 0),
        ("blocks.2.hook_resid_mid", 2, 2.5),
        ("blocks.-1.hook_resid_post", 11, 12),
        ("final_norm_out", 12, 12.5),
    ],
)
def test_depth_is_counted_in_blocks(site: str, layer: int, depth: float):
    assert depth_of(site, layer) == depth


def test_all_sites_are_those_after_each_block_and_the_final_norm():
    assert distinct_sites("all", 2) == ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post", "final_norm_out"]


@ONCE
@pytest.mark.parametrize("statistics", [False, True])
def test_a_site_says_what_its_report_says_and_is_drawn(settings: Settings, tmp_path: Path, statistics: bool):
    site = site_of(settings, statistics=statistics)
    assert site.nn_distance.value is not None
    assert (site.nn_distance.interval is not None) == (site.dimension.value is not None) == statistics
    assert bool(site.null_ratios) == statistics
    assert site.depth == 3.5
    profile = Profile(
        id="profile-1", job="job-1", name="a model", d_model=3, n=40, sites=[site] * 3, warnings=[], provenance={},
        created_at=now(),
    )  # fmt: skip
    paths = draw_profile_figure(profile, tmp_path / "figure")
    assert [path.suffix for path in paths] == [".png", ".svg", ".pdf"]
    png = paths[0].read_bytes()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[20:24], "big") == (960 if statistics else 432)  # three panels, or the distance alone


def site_of(settings: Settings, *, statistics: bool) -> ProfileSite:
    made = publish_report(settings, sample_vectors(), statistics=statistics)
    catalog = Catalog(settings.resolved_database_url)
    try:
        with catalog.read() as connection:
            _, sha256 = radius_catalog.get(connection, made.report)
            _, measured = activations.get(connection, made.activations)
    finally:
        catalog.close()
    return profile_site(ReportFolder(settings.artifacts_root / made.report, sha256).report(), measured, 3)
