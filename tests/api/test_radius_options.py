"""What a radius job can be asked for besides the distances: engines, counts within radii, another set."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from service.artifacts.report import ReportFolder
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.contracts.radius import RadiusReport
from service.settings import Settings
from tests.api.products import insert_job, measure, nearest_distances, publish_texts, sample_vectors
from tests.api.support import ONCE

pytestmark = ONCE

Array = np.ndarray


def vectors_of(seed: int, n: int = 60) -> Array:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


def report_of(
    settings: Settings, catalog: Catalog, vectors: Array, **options: Any
) -> tuple[RadiusReport, ReportFolder]:
    job_id = insert_job(catalog, {})
    return _measured(settings, catalog, job_id, publish_texts(settings, catalog, vectors, job_id), **options)


def _measured(
    settings: Settings, catalog: Catalog, job_id: str, set_id: str, **options: Any
) -> tuple[RadiusReport, ReportFolder]:
    report_id = measure(settings, catalog, job_id, set_id, **options)
    with catalog.read() as connection:
        _, sha256 = radius_catalog.get(connection, report_id)
    folder = ReportFolder(settings.artifacts_root / report_id, sha256)
    json.dumps(folder.report().model_dump(mode="json"), allow_nan=False)
    return folder.report(), folder


@pytest.mark.parametrize("engine", ["auto", "exact", "faiss-flat"])
def test_exact_engines_agree_and_say_which_they_are(settings: Settings, catalog: Catalog, engine: str):
    report, folder = report_of(settings, catalog, sample_vectors(), engine=engine)
    assert report.engine == ("faiss-flat" if engine == "faiss-flat" else "exact")
    assert report.engine_reason.startswith("auto" if engine == "auto" else "asked for")
    assert report.certified_fraction == 1.0
    found = np.empty(len(sample_vectors()))
    found[folder.tensors["rows"]] = folder.tensors["distances"][:, 0]
    np.testing.assert_allclose(found, nearest_distances(sample_vectors()), rtol=1e-12)
    assert all(part.approximation is None for part in report.fractions)
    search = report.provenance["search"]
    assert search["engine_asked"] == engine
    assert search["on"]["device"] == "cpu"
    if report.engine == "exact":
        assert {"format", "fused", "trials", "candidates", "settled", "float64_rows", "duplicates"} <= set(search)


@pytest.mark.parametrize("engine", ["faiss-ivf", "faiss-hnsw"])
def test_approximate_engines_say_how_far_they_are_off(settings: Settings, catalog: Catalog, engine: str):
    report, _ = report_of(settings, catalog, vectors_of(0, 200), engine=engine)
    assert report.engine == engine
    assert report.certified_fraction == 0.0
    for part in report.fractions:
        assert part.approximation is not None
        assert part.approximation.rows == part.n
        assert 0 <= part.approximation.recall_at_1 <= 1
        assert part.approximation.mean_bias >= -1e-12


@pytest.mark.parametrize("exclude", ["self", "same_document"])
def test_counts_within_radii(settings: Settings, catalog: Catalog, exclude: str):
    vectors = sample_vectors()
    wide = vectors.astype(np.float64)
    gaps = np.linalg.norm(wide[:, None] - wide[None], axis=2)
    pairs = gaps[np.triu_indices(len(vectors), 1)]
    radii = [0.0, float(gaps[2, 3]), 1.5, 1e9]
    report, _ = report_of(settings, catalog, vectors, radii=radii, exclude=exclude)
    assert report.counts is not None
    assert report.counts.n == len(vectors)
    assert report.counts.admissible_pairs == len(pairs)  # every row is a document of its own
    assert "closed" in report.counts.ball
    np.fill_diagonal(gaps, np.inf)
    for part, radius in zip(report.counts.radii, radii, strict=True):
        of_row = (gaps <= radius).sum(axis=1)
        assert part.radius == radius
        assert part.pairs == (pairs <= radius).sum()
        assert part.share == pytest.approx((pairs <= radius).mean())
        near = part.neighbors
        assert (near.min, near.max, near.rows_without) == (of_row.min(), of_row.max(), (of_row == 0).sum())
        assert (near.mean, near.median) == (pytest.approx(of_row.mean()), np.median(of_row))
    assert report.counts.radii[1].pairs >= 2  # the equal pair, and the pair at that very distance
    assert report.timing["count_s"] > 0


@pytest.mark.parametrize("exclude", ["self", "same_document"])
def test_the_rows_of_one_set_among_those_of_another(settings: Settings, catalog: Catalog, exclude: str):
    """Row r of either set is of document "doc r": excluding documents excludes the row of the same number."""
    queries, database = vectors_of(1), vectors_of(2, 80)
    database[5] = queries[5]
    reference = publish_texts(settings, catalog, database, insert_job(catalog, {}))
    report, folder = report_of(settings, catalog, queries, reference=reference, exclude=exclude, k=2)
    gaps = np.linalg.norm(queries[:, None].astype(np.float64) - database[None], axis=2)
    if exclude == "same_document":
        gaps[np.arange(60), np.arange(60)] = np.inf
    expected = np.sort(gaps, axis=1)[:, :2]
    assert folder.tensors["rows"].tolist() == list(range(60))
    np.testing.assert_allclose(folder.tensors["distances"], expected, rtol=1e-12)
    assert report.reference == reference
    assert report.null_model is None
    assert [part.n for part in report.fractions] == [20, 40, 60, 80]
    assert report.fractions[-1].duplicates == (exclude == "self")
    nearest, _ = folder.pairs(farthest=False, start=0, count=60, within=False)
    assert len(nearest) == 60


def test_a_set_as_its_own_reference_is_no_reference(settings: Settings, catalog: Catalog):
    job_id = insert_job(catalog, {})
    set_id = publish_texts(settings, catalog, sample_vectors(), job_id)
    report, folder = _measured(settings, catalog, job_id, set_id, reference=set_id)
    assert report.reference is None
    found = folder.tensors["distances"][np.argsort(folder.tensors["rows"]), 0]
    np.testing.assert_allclose(found, nearest_distances(sample_vectors()), rtol=1e-12)


def test_more_rows_asking_than_searched(settings: Settings, catalog: Catalog):
    reference = publish_texts(settings, catalog, vectors_of(2, 20), insert_job(catalog, {}))
    vectors = np.concatenate([vectors_of(2, 20), vectors_of(1, 40)])
    report, _ = report_of(settings, catalog, vectors, reference=reference, exclude="same_document")
    assert report.fractions[-1].nn_distance is not None
    report, _ = report_of(settings, catalog, vectors, reference=reference)
    assert [notice.message.split(";")[0] for notice in report.warnings if notice.code == "duplicates"] == [
        "20 of 60 rows (33.3%) equal another row"
    ]
    assert len(report.provenance["searched_sha256"]) == 64


def test_counts_of_no_rows_are_none(settings: Settings, catalog: Catalog):
    report, _ = report_of(settings, catalog, sample_vectors(), radii=[1.0], fractions=[0.001])
    assert report.counts is not None
    assert (report.counts.n, report.counts.radii) == (0, [])
