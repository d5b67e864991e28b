"""The statistics of a radius report: known numbers over the whole way, and what is null beside its reason."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from service.artifacts.report import ReportFolder
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.contracts.radius import RadiusReport
from service.settings import Settings
from tests.api.products import insert_job, measure, publish_texts
from tests.api.support import ONCE, client_of
from tests.api.test_degenerate_reports import import_rows
from tests.statistics.sets import in_documents, nearest_of, normal
from workers.statistics.documents import Documents
from workers.statistics.estimate import cluster_error
from workers.statistics.loss import loss_by_distance
from workers.statistics.split import halves_of_documents

pytestmark = ONCE

Array = np.ndarray
ROWS, CODES = normal(0, 500, 5), np.arange(500) // 10


def report_of(
    settings: Settings,
    catalog: Catalog,
    rows: Array,
    codes: Array | None = None,
    losses: Array | None = None,
    **options: Any,
) -> RadiusReport:
    """The report of a set with documents, or of an import."""
    job = insert_job(catalog, {})
    if codes is None:
        made = import_rows(settings, catalog, rows)
    else:
        made = publish_texts(settings, catalog, rows, job, [int(code) for code in codes], losses=losses)
    report_id = measure(settings, catalog, job, made, **{"statistics": True} | options)
    with catalog.read() as connection:
        _, sha256 = radius_catalog.get(connection, report_id)
    return ReportFolder(settings.artifacts_root / report_id, sha256).report()


def test_known_numbers(settings: Settings, catalog: Catalog):
    report = report_of(settings, catalog, ROWS, CODES, fractions=[0.25, 1.0], extrapolate_to=[1_000, 10**9])
    whole = report.fractions[-1].nn_distance
    assert whole is not None
    assert whole.mean == pytest.approx(0.7952552591, abs=5e-11)
    assert whole.median == pytest.approx(0.7441132133, abs=5e-11)
    error = whole.uncertainty
    assert error is not None
    assert error.mean.standard_error == pytest.approx(0.0151547, abs=5e-8)
    assert error.row_standard_error == pytest.approx(0.0126733, abs=5e-8)
    assert (error.documents, error.rows_are_documents, error.mean.method) == (50, False, "document_jackknife")
    low, high = error.median.interval or (0, 0)
    assert low < whole.median < high
    found = report.intrinsic_dimension
    assert found is not None
    assert found.two_nn.value == pytest.approx(4.5100082548, abs=5e-11)
    assert found.two_nn.regression == pytest.approx(4.4418606269, abs=5e-11)
    assert [each.value for each in found.mle] == pytest.approx([4.9980366781, 4.9025194022], abs=5e-11)
    assert [each.value for each in found.gride[:5]] == pytest.approx([4.510, 5.334, 5.120, 4.844, 4.680], abs=5e-4)
    assert found.null is not None
    assert found.null.two_nn.value == pytest.approx(5.0, abs=0.6)
    assert report.neighbors is not None
    hubs = report.neighbors.hubness
    assert (hubs.skewness, hubs.max, hubs.never_neighbour_share) == (pytest.approx(0.029207, abs=5e-7), 23, 0.002)
    assert report.scale is not None
    assert report.scale.participation_ratio == pytest.approx(4.921679, abs=5e-7)
    assert report.statistics_reason is None
    assert report.timing["statistics_s"] > 0


def test_normal_rows_cannot_be_told_from_the_nulls_that_they_are(settings: Settings, catalog: Catalog):
    report = report_of(settings, catalog, ROWS, CODES)
    nulls = {null.kind: null for null in report.null_models or []}
    assert list(nulls) == ["gaussian", "permutation", "elliptical", "same_last_token"]
    for kind in ("gaussian", "permutation", "elliptical"):
        assert nulls[kind].verdict == "not_distinguished"
        assert nulls[kind].unbiased.value == pytest.approx(1.0, abs=0.06)
    assert nulls["same_last_token"].alone_share == 0  # the set's shards have the same tokens
    assert "null_not_distinguished" in {notice.code for notice in report.warnings}


def test_documents_as_clusters_are_nearer_than_every_null(settings: Settings, catalog: Catalog):
    rows, codes = in_documents(1, 400, 8, 40)
    report = report_of(settings, catalog, np.float32(1) * (0.2 * rows + normal(5, 40, 8)[codes]), codes)
    assert {null.verdict for null in (report.null_models or [])[:3]} == {"nearer"}
    assert report.neighbors is not None
    same = report.neighbors.same_document
    assert same.share is not None
    assert same.chance is not None
    assert same.share > 0.9 > 0.1 > same.chance


def test_without_statistics_there_is_the_scale_and_a_reason(settings: Settings, catalog: Catalog):
    report = report_of(settings, catalog, ROWS, CODES, statistics=False)
    whole = report.fractions[-1].nn_distance
    assert whole is not None
    assert whole.uncertainty is not None
    assert (whole.uncertainty.mean.standard_error, whole.uncertainty.mean.reason) == (None, "statistics_off")
    assert whole.uncertainty.row_standard_error == pytest.approx(0.0126733, abs=5e-8)
    assert report.scale is not None
    assert report.statistics_reason == "statistics_off"
    assert (report.intrinsic_dimension, report.null_models, report.neighbors, report.sample_size) == (None,) * 4


def test_rows_of_an_import_count_as_documents_and_the_report_says_so(settings: Settings, catalog: Catalog):
    report = report_of(settings, catalog, ROWS)
    whole = report.fractions[-1].nn_distance
    assert whole is not None
    assert whole.uncertainty is not None
    assert (whole.uncertainty.documents, whole.uncertainty.rows_are_documents) == (500, True)
    assert report.neighbors is not None
    assert report.neighbors.same_document.reason == "the rows have no documents"


def test_held_out_rows(settings: Settings, catalog: Catalog):
    reference = import_rows(settings, catalog, ROWS[:300])
    report = report_of(settings, catalog, ROWS[300:], reference=reference)
    whole = report.fractions[-1].nn_distance
    assert whole is not None
    assert whole.mean == pytest.approx(0.8904795, abs=5e-8)
    assert whole.uncertainty is not None
    assert whole.uncertainty.mean.method == "document_clusters"
    assert report.coverage is not None
    assert (report.coverage.share, report.coverage.n) == (0.045, 200)
    assert report.self is not None
    assert report.self.mean == pytest.approx(0.87188752, abs=5e-9)
    assert report.rank_auc is not None
    low, high = report.rank_auc.interval or (1, 0)
    assert low < 0.5 < high
    nulls = {null.kind: null for null in report.null_models or []}
    assert nulls["gaussian"].verdict == nulls["permutation"].verdict == "not_distinguished"
    assert (nulls["gaussian"].n, nulls["gaussian"].queries) == (300, 200)
    assert nulls["same_last_token"].reason == "the rows have no last token"


def test_losses_beside_distances(settings: Settings, catalog: Catalog):
    """Of rows in another order than their set's."""
    nearest, documents = nearest_of(ROWS, CODES)
    losses = np.log(nearest.first) + normal(8, 500)
    report = report_of(settings, catalog, ROWS, CODES, losses, fractions=[0.5, 1.0])
    expected = loss_by_distance(nearest, losses, documents)
    assert report.loss is not None
    assert report.loss.spearman.value == pytest.approx(np.asarray(spearmanr(nearest.first, losses))[0])
    assert report.loss.spearman.interval == pytest.approx(expected.spearman.interval)
    assert report.loss.deciles == pytest.approx(expected.deciles)
    assert report.loss.n == 500
    without = report_of(settings, catalog, ROWS, CODES, fractions=[1.0])
    assert without.loss is not None
    assert (without.loss.spearman.value, without.loss.deciles, without.loss.n) == (None, None, 0)
    assert without.loss.reason == without.loss.spearman.reason == "the set was extracted without loss: true"


def test_half_of_the_documents_among_the_other_half(settings: Settings, catalog: Catalog):
    report = report_of(settings, catalog, ROWS, CODES, split="documents", statistics=False, fractions=[0.5, 1.0])
    found, documents = report.split, Documents(CODES, 50)
    assert found is not None
    halves = halves_of_documents(documents.take(np.random.Generator(np.random.PCG64(0)).permutation(500)), 0)
    order = np.random.Generator(np.random.PCG64(0)).permutation(500)
    asking, answering = (np.sort(order[np.asarray(half)]) for half in halves)
    nearest = cdist(ROWS[asking], ROWS[answering]).min(axis=1)
    assert found.mean.value == pytest.approx(nearest.mean())
    assert found.mean.standard_error == pytest.approx(cluster_error(nearest, documents.take(asking)))
    assert found.median.value == pytest.approx(np.median(nearest))
    assert found.median.interval is not None
    assert (found.queries, found.query_documents, found.database, found.database_documents) == (250, 25, 250, 25)
    assert report.fractions[-1].nn_distance is not None
    assert found.mean.value is not None
    assert found.mean.value > report.fractions[-1].nn_distance.mean


def test_one_document_cannot_be_split_and_rows_of_an_import_can(settings: Settings, catalog: Catalog):
    alone = report_of(settings, catalog, ROWS[:40], np.zeros(40), split="documents", statistics=False).split
    assert alone is not None
    assert (alone.mean.value, alone.mean.reason, alone.queries) == (None, "all rows are of one document", 0)
    imported = report_of(settings, catalog, ROWS[:90], split="documents", statistics=False).split
    assert imported is not None
    assert (imported.queries, imported.query_documents, imported.rows_are_documents) == (45, 45, True)


def test_one_document_has_values_and_no_errors(settings: Settings, catalog: Catalog):
    report = report_of(settings, catalog, ROWS[:100], np.zeros(100))
    whole = report.fractions[-1].nn_distance
    assert whole is not None
    assert whole.uncertainty is not None
    assert (whole.uncertainty.mean.standard_error, whole.uncertainty.mean.reason) == (
        None,
        "all rows are of one document",
    )
    assert report.sample_size is not None
    assert (report.sample_size.dimension, report.sample_size.points) == (None, [])
    assert report.sample_size.reason


def test_the_same_seed_gives_the_same_bits(settings: Settings, catalog: Catalog):
    one, two = (
        report_of(settings, catalog, ROWS, CODES, transform=["unit_norm", "without_top:2"]).model_dump(
            mode="json", exclude={"id", "job", "activations", "timing", "created_at", "provenance"}
        )
        for _ in range(2)
    )
    assert one == two


def test_lists_shorter_than_64_rows(settings: Settings, catalog: Catalog):
    """Fewer rows than the lists are long: everything that needs longer lists has a reason."""
    report = report_of(settings, catalog, ROWS[:40], fractions=[0.05, 0.5, 1.0])
    found = report.intrinsic_dimension
    assert found is not None
    assert found.two_nn.value is not None
    assert [each.reason is None or each.value is None for each in found.gride][-1]
    assert report.null_models is not None


def test_all_neighbours_come_as_files_in_the_order_of_the_rows(settings: Settings, catalog: Catalog):
    job = insert_job(catalog, {})
    rows = ROWS[:60]
    made = measure(settings, catalog, job, import_rows(settings, catalog, rows), k=3, fractions=[0.5, 0.9])
    with client_of(settings) as client:
        packed, table = (client.get(f"/v1/radius/{made}/neighbors.{ending}") for ending in ("npz", "parquet"))
        assert client.get(f"/v1/radius/{made}/neighbors.csv").status_code == 422
    found = np.load(io.BytesIO(packed.content))
    assert (np.diff(found["rows"]) > 0).all()
    assert found["ids"].shape == found["distances"].shape == (54, 3)
    apart = np.linalg.norm(rows[found["rows"]][:, None] - rows[found["ids"]], axis=2)
    assert found["distances"] == pytest.approx(apart)
    columns = parquet.read_table(io.BytesIO(table.content)).to_pydict()
    assert list(columns) == ["row", "rank", "neighbor", "distance"]
    assert columns["row"] == np.repeat(found["rows"], 3).tolist()
    assert columns["rank"] == [1, 2, 3] * 54
    assert columns["neighbor"] == found["ids"].ravel().tolist()
    assert columns["distance"] == found["distances"].ravel().tolist()
