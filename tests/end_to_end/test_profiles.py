"""An analysis of all sites: a radius report for each (with statistics in the long profile), and their profile last."""

from __future__ import annotations

import subprocess
import sys

import httpx2
import numpy as np
import pytest

from tests.databases.soak import SOAK
from tests.end_to_end.conftest import ANALYSIS, Running

ROWS = 100
SITES = [f"blocks.{block}.hook_resid_post" for block in range(3)] + ["final_norm_out"]


@pytest.mark.long
def test_all_sites_give_a_profile(service: Running):
    done = service.run(
        "analysis",
        ANALYSIS | {"sites": "all", "chunks": ROWS, "loss": True, "radius": {"statistics": SOAK, "fractions": [1.0]}},
    )
    assert [(result.type, result.site) for result in done.job.results] == [
        *(("activations", site) for site in SITES), *(("radius", site) for site in SITES), ("profile", None),
    ]  # fmt: skip
    assert done.job.progress.done == done.job.progress.total == 5 * ROWS
    (profile_id,) = done.profiles
    profile = service.client.profile(profile_id)
    assert [site.site for site in profile.sites] == SITES
    assert [site.depth for site in profile.sites] == [1, 2, 3, 3.5]
    for site, report_id in zip(profile.sites, done.reports, strict=True):
        report = service.client.radius(report_id)
        whole = report.fractions[-1].nn_distance
        assert whole is not None
        assert whole.uncertainty is not None
        assert site.nn_distance.value == whole.mean
        assert site.nn_distance.interval == whole.uncertainty.mean.interval
        if SOAK:
            assert report.intrinsic_dimension is not None
            assert site.dimension.value == report.intrinsic_dimension.two_nn.value
            assert {ratio.kind for ratio in site.null_ratios} == {
                "gaussian", "permutation", "elliptical", "same_last_token",
            }  # fmt: skip
        assert site.loss_correlation is not None
        assert (site.loss_correlation.interval is not None) is SOAK
        assert service.client.activations(site.activations).manifest["loss"]["mean"] > 1
        vectors = service.client.vectors(site.activations)
        assert site.norm_mean == pytest.approx(np.linalg.norm(vectors.astype(float), axis=1).mean())
        covariance = np.cov(vectors.T.astype(float), bias=True)
        expected = np.trace(covariance) ** 2 / (covariance**2).sum()
        assert site.participation_ratio == pytest.approx(expected, rel=1e-6)
    _reads_and_deletes(service, profile_id, done.job.id)


def _reads_and_deletes(service: Running, profile_id: str, job_id: str) -> None:
    listed = httpx2.get(f"{service.url}/v1/profiles", timeout=30).json()["data"]
    assert [(row["id"], row["sites"], row["href"]) for row in listed] == [(profile_id, 4, f"/v1/profiles/{profile_id}")]
    assert service.client.figure(profile_id).startswith(b"\x89PNG")
    command = [sys.executable, "-m", "service.cli", "report", profile_id, "--url", service.url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert all(site in printed for site in SITES)
    service.client.delete_job(job_id)
    assert httpx2.get(f"{service.url}/v1/profiles/{profile_id}", timeout=30).status_code == 404
