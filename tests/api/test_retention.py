"""What is removed by age, and what is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from service.catalog import jobs, products, reuse
from service.catalog.engine import Catalog
from service.catalog.tables import jobs as jobs_table
from service.contracts.base import now
from service.ids import derived_id
from service.jobs.control import JobControl
from service.jobs.engine import JobEngine
from service.jobs.retention import Retention
from service.settings import Settings
from tests.api.products import Published, insert_job, measure, publish_report
from tests.api.support import EXTRACTION, import_array, submit

Sweep = Callable[..., None]


@pytest.fixture
def sweep(settings: Settings, catalog: Catalog) -> Iterator[Sweep]:
    """Sweep as if `days` had passed, with some settings changed."""
    engine = JobEngine(settings.resolved_database_url)

    def run(days: float = 0, **changes: Any) -> None:
        changed = settings.model_copy(update=changes)
        Retention(JobControl(catalog, engine, changed), changed).clean_up(now() + timedelta(days=days))

    yield run
    engine.close()


def listed(api: TestClient) -> list[str]:
    return [job["id"] for job in api.get("/v1/jobs").json()["data"]]


def ended(catalog: Catalog, state: str, labels: dict[str, str] | None = None) -> str:
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        if state == "cancelled":
            jobs.request_cancel(connection, job_id)
        jobs.finish(connection, job_id, state)
        connection.execute(jobs_table.update().where(jobs_table.c.id == job_id).values(labels=labels or {}))
    return job_id


def measured_by(settings: Settings, catalog: Catalog, made: Published) -> str:
    """Another job whose report is of the set of `made`."""
    other = insert_job(catalog, {})
    measure(settings, catalog, other, made.activations)
    with catalog.begin() as connection:
        jobs.finish(connection, other, "succeeded")
    return other


def using(settings: Settings, catalog: Catalog, made: Published) -> str:
    """Another job that has the set of `made` among its results."""
    other = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, other)
        assert reuse.link(connection, other, [made.activations])
        jobs.finish(connection, other, "succeeded")
    return other


def test_everything_is_kept_by_default(settings: Settings, api: TestClient, sweep: Sweep):
    made = publish_report(settings)
    sweep(days=10_000)
    assert listed(api) == [made.job]
    assert (settings.artifacts_root / made.activations / "manifest.json").exists()


def test_an_old_job_goes_with_its_files_and_the_engines_rows(
    settings: Settings, api: TestClient, catalog: Catalog, sweep: Sweep
):
    made = publish_report(settings)
    queued = submit(api, "extraction", EXTRACTION).json()["id"]
    cancelled = submit(api, "extraction", EXTRACTION).json()["id"]
    api.post(f"/v1/jobs/{cancelled}/cancel")
    sweep(days=6.9, retain_jobs_days=7)
    assert len(listed(api)) == 3
    sweep(days=7.1, retain_jobs_days=7)
    assert listed(api) == [queued]
    assert not list(settings.artifacts_root.glob(f"*{made.job.removeprefix('job-')}*"))
    with catalog.read() as connection:
        schema = "dbos." if connection.dialect.name == "postgresql" else ""
        held = connection.execute(sa.text(f"SELECT workflow_uuid FROM {schema}workflow_status")).scalars().all()
    assert held == [queued]


def test_failed_jobs_may_go_sooner(api: TestClient, catalog: Catalog, sweep: Sweep):
    made = {state: ended(catalog, state) for state in ("succeeded", "failed", "cancelled")}
    sweep(days=2, retain_failed_days=1)
    assert listed(api) == [made["succeeded"]]
    sweep(days=10_000, retain_failed_days=1)
    assert listed(api) == [made["succeeded"]]


def test_a_label_keeps_a_job(api: TestClient, catalog: Catalog, sweep: Sweep):
    kept = ended(catalog, "succeeded", {"keep": "true", "of": "mine"})
    ended(catalog, "succeeded", {"keep": "false"})
    sweep(days=2, retain_jobs_days=1)
    assert listed(api) == [kept]


@pytest.mark.parametrize("use", [measured_by, using])
def test_a_set_in_use_keeps_its_job(
    settings: Settings, api: TestClient, catalog: Catalog, sweep: Sweep, use: Callable[..., str]
):
    made = publish_report(settings)
    user = use(settings, catalog, made)
    with catalog.begin() as connection:
        connection.execute(jobs_table.update().where(jobs_table.c.id == user).values(labels={"keep": "true"}))
    sweep(days=2, retain_jobs_days=1)
    assert sorted(listed(api)) == [made.job, user]
    assert api.delete(f"/v1/jobs/{made.job}").status_code == 409
    assert api.get(f"/v1/activations/{made.activations}/rows").status_code == 200
    with catalog.begin() as connection:
        connection.execute(jobs_table.update().values(labels={}))
    sweep(days=2, retain_jobs_days=1)  # the user first, then the maker
    assert listed(api) == []
    assert not list(settings.artifacts_root.glob("act-*"))


def test_deleting_a_user_leaves_the_set(settings: Settings, api: TestClient, catalog: Catalog):
    made = publish_report(settings)
    user = using(settings, catalog, made)
    assert api.get(f"/v1/jobs/{user}").json()["results"][0]["id"] == made.activations
    assert api.delete(f"/v1/jobs/{user}").status_code == 204
    assert api.get(f"/v1/activations/{made.activations}/rows").status_code == 200
    assert api.delete(f"/v1/jobs/{made.job}").status_code == 204


def age(path: Path, moment: datetime) -> None:
    for each in (*path.rglob("*"), path):
        os.utime(each, (moment.timestamp(), moment.timestamp()))


def test_leftovers_of_a_dead_import_go_and_all_else_stays(
    settings: Settings, api: TestClient, catalog: Catalog, sweep: Sweep
):
    imported = import_array(api, np.eye(3, dtype=np.float32))
    failed = ended(catalog, "failed")
    digits, long_ago = "0" * 26, now() - timedelta(days=2)
    dead = [settings.staging_root / f"act-{digits}", settings.uploads_root / f"act-{digits}.upload"]
    dead += [settings.uploads_root / ".corpus-1.txt.0123.tmp", settings.index_cache / ".x.faiss.0123.tmp"]
    alive = [settings.staging_root / f"act-{'1' * 26}", settings.uploads_root / f"act-{'1' * 26}.upload"]
    alive += [settings.staging_root / failed, settings.staging_root / f"act-{failed.removeprefix('job-')}00.1"]
    alive += [settings.uploads_root / "corpus-1.txt"]
    for path in (*dead, *alive):
        if path.parent == settings.staging_root:
            (path / "site-00").mkdir(parents=True)
            path = path / "site-00" / "shard-00000.safetensors"
        path.write_bytes(b"x")
    for path in (*dead, *alive[1:]):  # the first import alive wrote a shard just now, its upload long ago
        age(path, long_ago)
    age(settings.artifacts_root / imported, long_ago)
    sweep()
    assert [path for path in dead if path.exists()] == []
    assert [path for path in alive if not path.exists()] == []
    assert api.get(f"/v1/activations/{imported}/rows").status_code == 200
    sweep(days=2)
    assert [path for path in alive[:2] if path.exists()] == []
    assert all(path.exists() for path in alive[2:])


def orphan(settings: Settings, name: str, shard: str = "shard-00000.safetensors") -> Path:
    """A published folder, written in two days ago."""
    folder = settings.artifacts_root / name
    (folder / "kept-0000010").mkdir(parents=True)
    for path in (folder / shard, folder / "kept-0000010" / "model.safetensors"):
        path.write_bytes(b"x")
    age(folder, now() - timedelta(days=2))
    return folder


def test_what_no_row_names_goes_unless_a_job_is_at_it(
    settings: Settings, api: TestClient, catalog: Catalog, sweep: Sweep
):
    made = publish_report(settings)
    imported = import_array(api, np.eye(3, dtype=np.float32))
    for name in (made.activations, made.report, imported):
        age(settings.artifacts_root / name, now() - timedelta(days=2))
    queued, under_way, failed = insert_job(catalog, {}), insert_job(catalog, {}), ended(catalog, "failed")
    with catalog.begin() as connection:
        jobs.start(connection, under_way)
    kinds = products.BY_PREFIX
    gone = [orphan(settings, f"{kind}-{'0' * 26}{ending}") for kind in kinds for ending in ("00", "01", "100")]
    gone += [orphan(settings, derived_id(kind, failed)) for kind in kinds] + [orphan(settings, f"act-{'1' * 26}")]
    kept = [orphan(settings, derived_id(kind, job, 1)) for kind in kinds for job in (queued, under_way)]
    kept += [orphan(settings, name) for name in ("lost+found", "mine-0123", "act-0123")]
    fresh = orphan(settings, f"act-{'2' * 26}")
    (fresh / "kept-0000010" / "more").write_bytes(b"x")
    sweep()
    assert [path for path in gone if path.exists()] == []
    assert [path for path in (*kept, fresh) if not path.exists()] == []
    for path in (f"activations/{imported}/rows", f"activations/{made.activations}/rows", f"radius/{made.report}"):
        assert api.get(f"/v1/{path}").status_code == 200
    sweep(days=2)
    assert not fresh.exists()


def test_a_deletion_that_was_cut_off_is_ended_by_a_sweep(
    settings: Settings, api: TestClient, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
):
    made, other = publish_report(settings), publish_report(settings)

    def die(*_: Any) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(JobEngine, "delete_workflows", die)
    assert api.delete(f"/v1/jobs/{made.job}").status_code == 500
    assert listed(api) == [other.job]
    sweep(days=0.9)
    assert (settings.artifacts_root / made.report).exists()
    sweep(days=1.1)
    names = {path.name for path in settings.artifacts_root.glob("*-*")}
    assert names == {other.activations, other.report}


def test_a_catalog_without_products_is_not_believed(settings: Settings, sweep: Sweep):
    left = orphan(settings, f"act-{'0' * 26}")
    sweep()
    assert left.exists()


def test_the_least_recently_used_indices_go(settings: Settings, sweep: Sweep):
    moments = {"a": 3, "b": 1, "c": 2}  # days ago
    for name, days in moments.items():
        for ending in ("faiss", "json"):
            path = settings.index_cache / f"{name}.{ending}"
            path.write_bytes(b"x" * 500)
            age(path, now() - timedelta(days=9 if ending == "json" else days))
    sweep(index_cache_bytes=3000)
    assert len(list(settings.index_cache.iterdir())) == 6
    sweep(index_cache_bytes=2999)
    assert sorted(path.stem for path in settings.index_cache.glob("*.faiss")) == ["b", "c"]
    sweep(index_cache_bytes=1000)
    assert sorted(path.name for path in settings.index_cache.iterdir()) == ["b.faiss", "b.json"]
    sweep(index_cache_bytes=0)
    assert not list(settings.index_cache.iterdir())
