"""Every version of our tables is reached step by step, keeps what was there, and ends at what the code says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.catalog import jobs, segments
from service.catalog.engine import Catalog
from service.catalog.migrate import SCRIPTS, is_ours, migrate, upgrade
from service.catalog.tables import metadata
from service.jobs.engine import migrate_engine
from service.settings import Settings
from tests.databases.migrated import DATABASES, Databases

AT = "2026-01-02 03:04:05.000006+00:00"
FIRST_ROWS = (
    "INSERT INTO jobs (id, kind, state, spec, spec_sha256, priority, labels, warnings, unit, created_at) VALUES "
    f"""('job-1', 'radius', 'running', '{{"k": 1}}', 'aa', 2, '{{"by": "me"}}', '[]', 'rows', '{AT}')""",
    "INSERT INTO segments (job, name, stage, done, worker, started_at, updated_at) VALUES "
    f"('job-1', 'radius-00', 'radius', 7, 'compute-a', '{AT}', '{AT}')",
    "INSERT INTO activations (id, name, n, d_model, dtype, sha256, statistics, created_at) VALUES "
    f"""('act-1', 'old', 3, 2, 'float32', 'bb', '{{}}', '{AT}')""",
)


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    """Settings on a database without any table."""
    with databases.empty(request.param, tmp_path / "data") as made:
        yield made


def test_rows_of_the_first_version_are_read_by_this_one(empty: Settings):
    catalog = Catalog(empty.resolved_database_url)
    with catalog.begin() as connection:
        upgrade(connection, "0001")
        for statement in FIRST_ROWS:
            connection.execute(sa.text(statement.replace(":", r"\:")))
    for revision in reversed(list(ScriptDirectory(SCRIPTS).walk_revisions())):
        with catalog.begin() as connection:
            upgrade(connection, revision.revision)
    migrate(empty.resolved_database_url)
    with catalog.begin() as connection:
        job = jobs.get(connection, "job-1")
        assert (job.state, job.spec, job.priority, job.labels, job.retries) == ("running", {"k": 1}, 2, {"by": "me"}, 0)
        assert job.progress.done == 7
        assert job.created_at.isoformat() == AT.replace(" ", "T")
        assert connection.execute(sa.text("SELECT n, reuse_key FROM activations")).one() == (3, None)
        assert segments.claim(connection, job_id="job-1", name="radius-00", stage="radius", worker="compute-b") == 1
    catalog.close()


def test_the_migrated_tables_are_those_of_the_code(settings: Settings):
    catalog = Catalog(settings.resolved_database_url)
    with catalog.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"include_object": is_ours}), metadata)
    catalog.close()
    assert found == []


def test_migrating_twice_changes_nothing_and_leaves_the_engine_s_tables(settings: Settings):
    def tables() -> dict[str, int]:
        inspector = sa.inspect(catalog.engine)
        schemas = [None, "dbos"] if catalog.engine.dialect.name == "postgresql" else [None]
        names = [(schema, name) for schema in schemas for name in inspector.get_table_names(schema)]
        return {f"{schema}.{name}": len(inspector.get_columns(name, schema)) for schema, name in names}

    catalog = Catalog(settings.resolved_database_url)
    before = tables()
    migrate(settings.resolved_database_url)
    migrate_engine(settings.resolved_database_url)
    assert tables() == before
    catalog.close()
