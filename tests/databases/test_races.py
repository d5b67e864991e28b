"""Inserts and migrations that several processes make at once all succeed, on both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from service.catalog import activations, background_tasks, corpora, energy, jobs, radius, segments, training, workers
from service.catalog.engine import Catalog, Connection
from service.catalog.migrate import SCRIPTS
from service.contracts.base import now
from service.settings import Settings
from tests.api.products import insert_job, insert_run
from tests.databases.migrated import Databases
from tests.databases.soak import in_soak_all

NEWEST = ScriptDirectory(SCRIPTS).get_current_head()
COUNT = 30
_MIGRATE = """
import sys
from service.catalog.migrate import migrate
from service.jobs.engine import migrate_engine
migrate(sys.argv[1])
migrate_engine(sys.argv[1])
"""


def all_at_once(settings: Settings, count: int, write: Callable[[Connection], Any]) -> list[Any]:
    """What `write` returns in each of `count` transactions that begin together, on connections of their own."""
    together = Barrier(count)

    def run() -> Any:
        with closing(Catalog(settings.resolved_database_url)) as catalog:
            together.wait()
            with catalog.begin() as connection:
                return write(connection)

    with ThreadPoolExecutor(count) as pool:
        return [found.result() for found in [pool.submit(run) for _ in range(count)]]


@pytest.mark.long
@pytest.mark.parametrize("kind", in_soak_all("postgresql"))
def test_three_processes_may_migrate_an_empty_database(databases: Databases, kind: str, tmp_path: Path):
    with databases.empty(kind, tmp_path / "data") as settings:
        command = [sys.executable, "-c", _MIGRATE, settings.resolved_database_url]
        running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        ended = [(process.communicate()[1], process.returncode) for process in running]
        assert [code for _, code in ended] == [0, 0, 0], ended
        with closing(Catalog(settings.resolved_database_url)) as catalog, catalog.read() as connection:
            assert connection.execute(sa.text("SELECT version_num FROM radius_schema")).scalars().all() == [NEWEST]


def test_a_new_worker_is_seen_by_all_at_once(settings: Settings, catalog: Catalog):
    all_at_once(settings, COUNT, lambda connection: workers.seen(connection, "compute-a"))
    with catalog.read() as connection:
        assert workers.count_alive(connection, "compute-", 60) == 1


def test_a_new_segment_has_one_owner_after_another(settings: Settings, catalog: Catalog):
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, job_id)

    def claim(connection: Connection) -> int:
        attempt = segments.claim(connection, job_id=job_id, name="a", stage="a", worker="compute-a")
        segments.release(connection, job_id=job_id, name="a", attempt=attempt)
        return attempt

    assert sorted(all_at_once(settings, COUNT, claim)) == list(range(1, COUNT + 1))


def test_a_background_task_is_begun_once(settings: Settings, catalog: Catalog):
    def begin(connection: Connection) -> None:
        background_tasks.begin(connection, name="scan-a", worker="compute-a")
        background_tasks.release(connection, "compute-a")

    all_at_once(settings, COUNT, begin)
    with catalog.read() as connection:
        found = connection.execute(sa.select(background_tasks.background_tasks.c.deaths)).scalars().all()
    assert found == [0]


def test_products_and_corpora_are_inserted_once(settings: Settings, catalog: Catalog):
    job_id, run = insert_job(catalog, {}), insert_run(catalog)
    with catalog.begin() as connection:
        connection.execute(corpora.corpora.delete())
    made, report = "act-1", {"id": "r", "job": job_id, "name": "a", "d_model": 2, "created_at": now()}
    numbers = {"n": 3, "d_model": 2, "dtype": "float32", "sha256": "0", "statistics": {}}

    def insert(connection: Connection) -> None:
        corpora.register_builtins(connection)
        activations.publish(connection, {"id": made, "name": "a", "job": job_id, "site": None, **numbers})
        radius.publish(connection, report | {"activations": made, "site": None, "n": 3, "sha256": "0"})
        energy.publish(connection, report | {"activations": [made], "queries": None, "points": 3, "sha256": "0"})
        training.keep_checkpoint(connection, run, 10, "0")
        jobs.add_result(connection, job_id, "activations", None, made)

    all_at_once(settings, 10, insert)
    with catalog.read() as connection:
        assert [found.id for found in jobs.get(connection, job_id).results] == [made]
        assert [point.step for point in training.checkpoints(connection, run)] == [10]


@pytest.mark.parametrize("noun", [radius, energy])
def test_a_report_made_again_is_described_again(catalog: Catalog, noun: Any):
    job_id = insert_job(catalog, {})
    row = {"id": "r", "job": job_id, "name": "a", "d_model": 2, "created_at": now(), "sha256": "0"}
    row |= {"activations": "act-1", "site": None, "n": 3} if noun is radius else {"activations": [], "queries": None}
    row |= {} if noun is radius else {"points": 3, "mean": None}
    with catalog.begin() as connection:
        for sha256 in ("old", "new"):
            noun.publish(connection, row | {"sha256": sha256})
        assert noun.get(connection, "r")[1] == "new"
