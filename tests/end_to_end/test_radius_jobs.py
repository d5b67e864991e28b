"""Radius jobs over finished activation sets, by real processes and the real command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from service.client import Finished
from tests.end_to_end.conftest import Running


def sets_of(analysis: Finished) -> list[str]:
    return [result.id for result in analysis.job.results if result.type == "activations"]


@pytest.mark.long
def test_counts_within_radii_are_printed(service: Running, analysis: Finished):
    done = service.run("radius", {"activations": sets_of(analysis)[0], "radii": [0, 5, 1000]})
    report = service.client.radius(done.reports[0])
    assert report.counts is not None
    assert report.counts.radii[2].pairs == report.n * (report.n - 1) // 2
    command = [sys.executable, "-m", "service.cli", "report", report.id, "--radii", "--url", service.url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "share of pairs" in printed
    assert f"{report.counts.radii[2].pairs:,}" in printed


def test_one_site_among_the_activations_of_the_other(service: Running, analysis: Finished):
    first, second = sets_of(analysis)
    done = service.run("radius", {"activations": first, "reference": second, "exclude": "same_document"})
    report = service.client.radius(done.reports[0])
    assert (report.activations, report.reference) == (first, second)
    assert report.fractions[-1].nn_distance is not None
    assert report.null_model is None


def test_an_approximate_engine_carries_its_error(service: Running, analysis: Finished):
    done = service.run("radius", {"activations": sets_of(analysis)[0], "engine": "faiss-hnsw"})
    report = service.client.radius(done.reports[0])
    whole = report.fractions[-1].approximation
    assert whole is not None
    assert whole.recall_at_1 > 0.5
    assert report.certified_fraction == 0.0
