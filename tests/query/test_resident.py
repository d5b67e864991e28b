"""What the query worker keeps: bounded in bytes and number, with each report read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from service.artifacts.report import ReportFolder
from service.catalog import jobs
from service.catalog.engine import Catalog
from service.errors import NotFound
from service.principal import DEFAULT_PROJECT
from service.settings import Settings
from tests.api.products import insert_job, measure, nearest_distances, publish_texts, sample_vectors
from tests.databases.migrated import sqlite_settings
from workers.query.resident import ResidentSets

Array = np.ndarray
Store = Callable[..., tuple[Settings, Catalog]]
N, D = 400, 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Settings and catalog of a fresh data directory."""
    opened: list[Catalog] = []

    def make(**options: int) -> tuple[Settings, Catalog]:
        settings = sqlite_settings(tmp_path / "data", null_queries=10, **options)
        opened.append(Catalog(settings.resolved_database_url))
        return settings, opened[-1]

    yield make
    for catalog in opened:
        catalog.close()


def publish(settings: Settings, catalog: Catalog, count: int) -> list[str]:
    chance = np.random.default_rng(0)
    vectors = [chance.normal(size=(N, D)).astype(np.float32) for _ in range(count)]
    return [publish_texts(settings, catalog, rows, insert_job(catalog, {})) for rows in vectors]


def test_streamed_sets_are_bounded_in_number(store: Store):
    settings, catalog = store(query_memory_bytes=4 * N * D - 1, query_sets=5)
    sets, ids = ResidentSets(settings, catalog), publish(settings, catalog, 30)
    for set_id in ids:
        found, _ = sets.get(set_id, DEFAULT_PROJECT)
        assert found.patterns.resident is None
        assert found.held_bytes >= 16 * N  # norms and lifts
        assert len(sets) <= 5
        assert sets.held_bytes <= settings.query_memory_bytes or len(sets) == 1


def test_sets_in_memory_are_bounded_in_bytes_and_the_last_queried_stay(store: Store):
    settings, catalog = store(query_memory_bytes=3 * (4 * N * D + 16 * N + 20_000))
    sets, ids = ResidentSets(settings, catalog), publish(settings, catalog, 6)
    for set_id in ids:
        assert sets.get(set_id, DEFAULT_PROJECT)[0].patterns.resident is not None
        assert sets.held_bytes <= settings.query_memory_bytes
    assert len(sets) == 3
    kept, _ = sets.get(ids[-3], DEFAULT_PROJECT)
    sets.get(ids[0], DEFAULT_PROJECT)  # takes the place of the one before the last
    assert sets.get(ids[-3], DEFAULT_PROJECT)[0] is kept


def test_a_set_that_is_larger_than_all_memory_stays_while_it_is_queried(store: Store):
    settings, catalog = store(query_memory_bytes=0)
    sets, (one, other) = ResidentSets(settings, catalog), publish(settings, catalog, 2)
    found, _ = sets.get(one, DEFAULT_PROJECT)
    assert sets.get(one, DEFAULT_PROJECT)[0] is found
    sets.get(other, DEFAULT_PROJECT)
    assert len(sets) == 1


def test_mapped_files_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (12, 12))
    settings, catalog = store()
    sets = ResidentSets(settings, catalog)
    for set_id in publish(settings, catalog, 5):  # of two shards each
        sets.get(set_id, DEFAULT_PROJECT)
    assert len(sets) == 3


def test_each_report_is_read_once_and_the_distances_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch):
    settings, catalog = store()
    read, parse = [], ReportFolder.report
    monkeypatch.setattr(ReportFolder, "report", lambda folder: read.append(folder.folder.name) or parse(folder))
    vectors = sample_vectors()
    set_id = publish_texts(settings, catalog, vectors, insert_job(catalog, {}))
    others = [measure(settings, catalog, insert_job(catalog, {}), set_id, fractions=[0.5]) for _ in range(3)]
    sets = ResidentSets(settings, catalog)
    read.clear()
    for _ in range(4):
        assert sets.get(set_id, DEFAULT_PROJECT)[1].report is None
    assert sorted(read) == sorted(others)
    whole = measure(settings, catalog, insert_job(catalog, {}), set_id)
    read.clear()
    before = sets.held_bytes
    _, found = sets.get(set_id, DEFAULT_PROJECT)
    assert [sets.get(set_id, DEFAULT_PROJECT)[1].report for _ in range(4)] == [whole] * 4
    assert read == [whole]
    np.testing.assert_allclose(found.values, np.sort(nearest_distances(vectors)), rtol=1e-12)
    assert sets.held_bytes == before + found.values.nbytes


def test_the_report_is_one_that_the_project_may_read(store: Store):
    """Two projects share a set of a built-in corpus; each has its own report of it, or none."""
    settings, catalog = store()
    set_id = publish_texts(settings, catalog, sample_vectors(), insert_job(catalog, {}))
    ours = measure(settings, catalog, insert_job(catalog, {}), set_id)
    with catalog.of("theirs").begin() as connection:
        jobs.insert(connection, {"id": "job-theirs", "kind": "analysis", "spec": {}, "priority": 50, "labels": {}})
        jobs.add_result(connection, "job-theirs", "activations", None, set_id)
    sets = ResidentSets(settings, catalog)
    assert sets.get(set_id, DEFAULT_PROJECT)[1].report == ours
    shared, distances = sets.get(set_id, "theirs")
    assert (distances.report, len(distances.values)) == (None, 0)
    assert shared is sets.get(set_id, DEFAULT_PROJECT)[0]
    with pytest.raises(NotFound):
        sets.get(set_id, "a third")


def test_a_damaged_report_gives_no_percentile_and_is_read_once(store: Store, caplog: pytest.LogCaptureFixture):
    settings, catalog = store()
    set_id = publish_texts(settings, catalog, sample_vectors(), insert_job(catalog, {}))
    report = measure(settings, catalog, insert_job(catalog, {}), set_id)
    (settings.artifacts_root / report / "report.json").write_bytes(b"{}")
    sets = ResidentSets(settings, catalog)
    assert [sets.get(set_id, DEFAULT_PROJECT)[1].report for _ in range(3)] == [None] * 3
    assert [record.message for record in caplog.records if report in record.message] == [
        f"the radius report {report} is damaged; no percentile is computed from it"
    ]


@pytest.mark.long
def test_many_large_sets_leave_the_memory_bounded(tmp_path: Path):
    settings = sqlite_settings(tmp_path / "data", query_memory_bytes=2**24, query_sets=8)
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        sets, rows = ResidentSets(settings, catalog), np.zeros((50_000, 128), np.float32)
        for number in range(30):
            rows[:] = np.random.default_rng(number).normal(size=rows.shape)
            sets.get(publish_texts(settings, catalog, rows, insert_job(catalog, {})), DEFAULT_PROJECT)
            assert sets.held_bytes <= 2**24
            assert len(sets) <= 8
