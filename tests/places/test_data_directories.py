"""The data directory may have any name: it is never read as a URL or as an option, and too long a path is refused."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from service import cli
from service.catalog import migrate as migration
from service.catalog.engine import Catalog
from service.errors import InvalidInput
from service.jobs.engine import engine_url
from service.settings import Settings

NAMES = ["what?x=1", "a%20b", "a%2Fb", "a#b", "a:b@c", "x[", "run[1] [draft]", "ä ö"]


@pytest.mark.parametrize("name", NAMES)
def test_a_database_is_in_the_folder_of_that_name(tmp_path: Path, name: str):
    settings = Settings(data_dir=tmp_path / name)
    settings.make_folders()
    expected = str(tmp_path / name / "radius.db")
    for url in (settings.resolved_database_url, engine_url(settings.resolved_database_url)):
        assert (make_url(url).database, dict(make_url(url).query)) == (expected, {})
    with closing(Catalog(settings.resolved_database_url)) as catalog, catalog.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE here (n INTEGER)")
    with closing(sqlite3.connect(expected)) as opened:
        assert opened.execute("SELECT count(*) FROM here").fetchone() == (0,)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_scripts_below_a_folder_with_a_percent_sign_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As in a checkout whose path has one: Alembic reads `%` in its options as a reference."""
    (tmp_path / "a%20b").symlink_to(Path(migration.SCRIPTS).parent)
    monkeypatch.setattr(migration, "SCRIPTS", str(tmp_path / "a%20b" / "migrations"))
    settings = Settings(data_dir=tmp_path / "data")
    settings.make_folders()
    migration.migrate(settings.resolved_database_url)
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        catalog.check()


def test_the_longest_path_that_sqlite_opens_is_accepted_and_a_longer_one_refused(tmp_path: Path):
    def folder(length: int) -> Path:
        """A folder in which `radius.db` has a path of that many bytes."""
        wanted, path = length - len("/radius.db"), str(tmp_path)
        while wanted - len(path) > 201:
            path += "/" + "x" * 199
        return Path(path + "/" + "y" * (wanted - len(path) - 1))

    longest = Settings(data_dir=folder(504))
    longest.make_folders()
    assert len(os.fsencode(make_url(longest.resolved_database_url).database or "")) == 504
    with closing(Catalog(longest.resolved_database_url)) as catalog, catalog.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE here (n INTEGER)")
    with pytest.raises(InvalidInput, match="504 bytes, and its file would have one of 505") as caught:
        _ = Settings(data_dir=folder(505)).resolved_database_url
    assert caught.value.field == "data_dir"
    elsewhere = Settings(data_dir=folder(505), database_url="postgresql://db/radius")
    assert elsewhere.resolved_database_url.startswith("postgresql://db/radius")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RADIUS_DATA_DIR": "x" * 600}, "more than 255 bytes"),
        ({"RADIUS_DATA_DIR": "/".join(["x" * 200] * 3)}, "SQLite opens paths of at most 504 bytes"),
        ({"RADIUS_DATABASE_URL": "nonsense"}, "RADIUS_DATABASE_URL is not a URL"),
        ({"RADIUS_DATABASE_URL": "mysql://db/radius"}, "begins with sqlite:// or postgresql://"),
        ({"RADIUS_DATA_DIR": "a\udcff"}, "not UTF-8"),
        ({"RADIUS_HOST": "no host"}, "neither an IP address nor a host name"),
        ({"RADIUS_ALLOWED_HOSTS": "box, http://box:8000"}, "'http://box:8000' is no host"),
    ],
)
def test_a_setting_that_cannot_be_used_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, str],
    message: str,
):
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["radius", "db", "upgrade"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in shown
    assert len(shown.splitlines()) == 1
