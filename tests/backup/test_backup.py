"""A service is copied while it runs, and restored into an empty place with every file and every row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.backup import making
from service.backup.copying import FileCopies
from service.backup.listing import FILES, LISTING, read_listing
from service.backup.making import make_backup
from service.backup.restoring import restore_backup
from service.catalog import events, jobs
from service.catalog.engine import Catalog
from service.errors import Conflict, CorruptArtifact, InvalidInput
from service.jobs.engine import JobEngine
from service.settings import Settings
from tests.api.products import insert_job, publish_report
from tests.api.support import client_of, submit
from tests.databases.migrated import DATABASES, Databases


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def original(kind: str, databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    with databases.settings(kind, tmp_path / "data") as made:
        yield made


@pytest.fixture
def empty(kind: str, databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    """Where a backup may be restored: no file, no table."""
    with databases.empty(kind, tmp_path / "elsewhere") as made:
        yield made


def test_products_and_queued_jobs_are_restored(original: Settings, empty: Settings, tmp_path: Path):
    published = publish_report(original)
    with client_of(original) as client:
        queued = submit(client).json()["id"]
        report = client.get(f"/v1/radius/{published.report}").json()
    (original.uploads_root / ".act-x.tmp").write_bytes(b"unfinished")
    (original.data_dir / "logs").mkdir(exist_ok=True)
    (original.data_dir / "logs" / "api.log").write_text("of this host")
    listing = make_backup(original, tmp_path / "backup")
    names = {file.path for file in listing.files}
    assert f"artifacts/{published.report}/report.json" in names
    assert not any(name.startswith(("logs/", "run/", "locks/", "radius.db")) or ".tmp" in name for name in names)

    found = restore_backup(empty, tmp_path / "backup")
    assert (found.files, found.open_jobs, found.products) == (len(names), 1, 2)
    with client_of(empty) as client:
        assert client.get(f"/v1/radius/{published.report}").json() == report
        assert client.get(f"/v1/activations/{published.activations}/rows").status_code == 200
        assert client.get(f"/v1/jobs/{queued}").json()["state"] == "queued"
        assert submit(client).status_code == 202  # ids and sequences go on after those of the backup
        assert [event["type"] for event in client.get(f"/v1/jobs/{queued}/events").json()["data"]] == ["queued"]
    with closing(JobEngine(empty.resolved_database_url)) as engine:
        assert queued in engine.waiting("control")


def test_a_new_event_has_an_id_of_its_own(original: Settings, empty: Settings, tmp_path: Path):
    with closing(Catalog(original.resolved_database_url)) as catalog:
        job = insert_job(catalog, {})
    make_backup(original, tmp_path / "backup")
    restore_backup(empty, tmp_path / "backup")
    with closing(Catalog(empty.resolved_database_url)) as catalog, catalog.begin() as connection:
        jobs.start(connection, job)
        page, _ = events.page(connection, job, 10, 0)
    assert [event.type for event in page] == ["queued", "running"]


def test_what_is_deleted_while_files_are_copied_is_in_neither(
    original: Settings, empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A job is deleted after its state was read and before its files were copied: the state is read again."""
    published = publish_report(original)
    copy, calls = making._copy_files, []

    def copy_late(settings: Settings, copies: FileCopies) -> None:
        calls.append(settings)
        if len(calls) == 2:
            with client_of(original) as client:
                assert client.delete(f"/v1/jobs/{published.job}").status_code == 204
        if len(calls) > 1:  # the first time is before the job
            copy(settings, copies)

    monkeypatch.setattr(making, "_copy_files", copy_late)
    make_backup(original, tmp_path / "backup")
    assert len(calls) == 3
    assert restore_backup(empty, tmp_path / "backup").products == 0


def test_a_damaged_backup_is_refused(original: Settings, empty: Settings, tmp_path: Path):
    publish_report(original)
    make_backup(original, tmp_path / "backup")
    file = read_listing(tmp_path / "backup").files[0]
    path = tmp_path / "backup" / FILES / file.path
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptArtifact, match="SHA-256"):
        restore_backup(empty, tmp_path / "backup")


def test_only_a_complete_backup_and_an_empty_place_are_taken(original: Settings, empty: Settings, tmp_path: Path):
    make_backup(original, tmp_path / "backup")
    with pytest.raises(Conflict, match="must be empty"):
        make_backup(original, tmp_path / "backup")
    (empty.data_dir / "mine.txt").write_text("mine")
    with pytest.raises(Conflict, match="has files"):
        restore_backup(empty, tmp_path / "backup")
    (empty.data_dir / "mine.txt").unlink()
    (tmp_path / "backup" / LISTING).unlink()
    with pytest.raises(InvalidInput, match=LISTING):
        restore_backup(empty, tmp_path / "backup")


def test_a_database_with_tables_is_not_restored_into(original: Settings, tmp_path: Path):
    make_backup(original, tmp_path / "backup")
    url = original.database_url or f"sqlite:///{original.data_dir}/radius.db"
    onto = original.model_copy(update={"data_dir": tmp_path / "elsewhere", "database_url": url})
    with pytest.raises(Conflict, match="already"):
        restore_backup(onto, tmp_path / "backup")


def test_a_lost_file_of_the_service_is_named(original: Settings, tmp_path: Path):
    published = publish_report(original)
    (original.artifacts_root / published.report / "manifest.json").unlink()
    with pytest.raises(Conflict, match=published.report):
        make_backup(original, tmp_path / "backup")
