"""The partition function of the measured balls in a radius report, and why there may be none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.artifacts.report import ReportFolder
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.commands import radius as output
from service.contracts.partition import Partition
from service.contracts.radius import RadiusReport
from service.settings import Settings
from service.theory.partition import partition_of_radii
from tests.api.products import D_MODEL, insert_job, measure, nearest_distances, publish_report, publish_texts
from tests.api.products import sample_vectors as sample
from tests.api.support import ONCE

pytestmark = ONCE

Array = np.ndarray


def report_of(
    settings: Settings, catalog: Catalog, vectors: Array, documents: list[int] | None = None, **options: Any
) -> RadiusReport:
    job_id = insert_job(catalog, {})
    set_id = publish_texts(settings, catalog, vectors, job_id, documents)
    report_id = measure(settings, catalog, job_id, set_id, **options)
    with catalog.read() as connection:
        _, sha256 = radius_catalog.get(connection, report_id)
    report = ReportFolder(settings.artifacts_root / report_id, sha256).report()
    json.dumps(report.model_dump(mode="json"), allow_nan=False)
    assert (report.partition is None) == (report.partition_reason is not None)
    assert report.timing["partition_s"] >= 0
    return report


def partition_of(report: RadiusReport) -> Partition:
    assert report.partition is not None
    return report.partition


def test_the_report_has_the_partition_function_of_its_radii(settings: Settings, catalog: Catalog):
    """Rows 7 and 31 of the sample are equal, 2 and 3 each other's nearest."""
    report = report_of(settings, catalog, sample())
    found, nearest = partition_of(report), nearest_distances(sample())
    wanted = partition_of_radii(D_MODEL, nearest / 2)
    assert (found.n, found.balls) == (D_MODEL, len(nearest))
    assert found.corrected.log_partition == pytest.approx(wanted.log_partition, rel=1e-12)
    assert found.corrected.effective_balls == pytest.approx(wanted.effective_balls, rel=1e-12)
    assert found.corrected.largest_share == pytest.approx(wanted.largest_share, rel=1e-12)
    assert found.corrected.equivalent_radius == pytest.approx(wanted.equivalent_radius, rel=1e-9)
    assert found.corrected.loss == found.corrected.log_partition
    assert found.disjoint.open_balls is True
    assert found.disjoint.closed_balls is False
    assert (found.disjoint.overlapping_pairs, found.disjoint.coinciding_rows) == (0, 2)
    gaps = np.linalg.norm(sample()[:, None].astype(np.float64) - sample()[None], axis=2)
    mutual = (gaps == nearest[:, None]) & (gaps == nearest[None]) & (gaps > 0)
    assert found.disjoint.touching_pairs == np.triu(mutual, 1).sum() >= 1
    assert found.disjoint.overlapping_at_mean_radius == np.mean(nearest < nearest.mean())
    whole = report.fractions[-1]
    assert whole.radius is not None
    assert (found.volume_gap.mean_radius, found.volume_gap.median_radius) == (whole.radius.mean, whole.radius.median)


def test_it_is_of_the_rows_of_the_largest_fraction(settings: Settings, catalog: Catalog):
    assert partition_of(report_of(settings, catalog, sample(), fractions=[0.25, 0.5])).balls == 20


@pytest.mark.parametrize("engine", ["faiss-ivf", "faiss-hnsw"])
def test_what_an_approximate_engine_finds_is_never_called_disjoint(settings: Settings, catalog: Catalog, engine: str):
    vectors = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    found = partition_of(report_of(settings, catalog, vectors, engine=engine))
    assert found.disjoint.open_balls in (None, False)
    assert "not every pair" in found.notes[-1]


def test_rows_of_one_document_are_not_compared(settings: Settings, catalog: Catalog):
    """Balls of half the distance to other documents overlap within a document, and no found pair says so."""
    vectors, documents = sample(), [row // 2 for row in range(len(sample()))]
    report = report_of(settings, catalog, vectors, documents, exclude="same_document")
    found = partition_of(report)
    assert report.certified_fraction == 1
    assert (found.disjoint.open_balls, found.disjoint.closed_balls) == (None, False)
    assert "not every pair" in found.notes[-1]
    alone = partition_of(report_of(settings, catalog, vectors, exclude="same_document"))  # a document for each row
    assert alone.disjoint.open_balls is True


def test_rows_left_alone_have_no_ball(settings: Settings, catalog: Catalog):
    vectors = np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0], [1, 0, 0]], dtype=np.float32)
    report = report_of(settings, catalog, vectors, [0] * 4, exclude="same_document")
    assert report.partition_reason == "exclude leaves no other row"
    report = report_of(settings, catalog, vectors, [0, 1, 1, 1], exclude="same_document")
    assert partition_of(report).balls == 4
    assert partition_of(report).volume_gap.mean_radius == (1 + 3 + 4 + 1) / 8


def test_one_row_has_no_ball(settings: Settings, catalog: Catalog):
    assert report_of(settings, catalog, sample(), fractions=[0.01]).partition_reason == "fewer than 2 rows"


def test_equal_rows_have_no_ball(settings: Settings, catalog: Catalog):
    report = report_of(settings, catalog, np.ones((6, 3), dtype=np.float32))
    assert report.partition is None
    assert report.partition_reason == "all radii are 0: every row equals another"


def test_radii_beyond_the_closed_forms_have_no_partition_function(settings: Settings, catalog: Catalog):
    vectors = np.diag([1e-155, 1e-155, 1.0]).astype(np.float64)
    report = report_of(settings, catalog, vectors)
    assert report.partition_reason is not None
    assert "1e-150" in report.partition_reason


def test_distances_to_another_set_are_no_radii(settings: Settings, catalog: Catalog):
    reference = publish_texts(settings, catalog, sample()[::-1].copy(), insert_job(catalog, {}))
    report = report_of(settings, catalog, sample(), reference=reference, exclude="same_document")
    assert report.partition is None
    assert "reference" in (report.partition_reason or "")


def test_reports_of_before_are_read(settings: Settings, catalog: Catalog):
    stored = report_of(settings, catalog, sample()).model_dump(mode="json")
    del stored["partition"], stored["partition_reason"]
    old = RadiusReport.model_validate_json(json.dumps(stored))
    assert (old.partition, old.partition_reason) == (None, None)


def test_it_is_served_and_printed(settings: Settings, api: TestClient, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(output.console, "width", 400)
    made = publish_report(settings)
    content = api.get(f"/v1/radius/{made.report}").json()
    assert set(content["partition"]) == {
        "n", "balls", "paper_literal", "corrected", "disjoint", "volume_gap", "notes",
    }  # fmt: skip
    report = RadiusReport.model_validate_json(json.dumps(content))
    output.print_report(report)
    out = capsys.readouterr().out
    found = partition_of(report)
    assert f"log Z {found.corrected.log_partition:.6g}" in out
    assert f"{found.corrected.effective_balls:.4g} of 40," in out
    assert f"{found.volume_gap.paper_literal.at_mean_radius:+.1f} nats" in out
    output.print_report(report.model_copy(update={"partition": None, "partition_reason": "of a test"}))
    assert "none: of a test" in capsys.readouterr().out
