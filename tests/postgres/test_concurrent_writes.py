"""Two writers of one job at the same time, and one that stands still within its transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from service.catalog import jobs
from service.catalog.engine import Catalog, Connection
from service.contracts.base import Notice
from service.errors import Unavailable
from service.settings import Settings
from tests.api.products import insert_job

PATIENCE_S = 60.0
Write = Callable[[Connection, str, str], None]


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    opened = Catalog(settings.resolved_database_url)
    yield opened
    opened.close()


def warn(connection: Connection, job_id: str, word: str) -> None:
    jobs.warn(connection, job_id, [Notice(code=word, message=word)])


def add_result(connection: Connection, job_id: str, word: str) -> None:
    jobs.add_result(connection, job_id, "radius", None, f"radius-{word}")


def wait_for_a_lock(catalog: Catalog) -> None:
    """Until a session waits for another one's lock."""
    waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with catalog.read() as connection:
            if connection.scalar(waiting):
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


@pytest.mark.parametrize("write", [warn, add_result])
def test_what_two_write_at_once_is_both_kept(catalog: Catalog, write: Write):
    job_id = insert_job(catalog, {})

    def write_alone(word: str) -> None:
        with catalog.begin() as connection:
            write(connection, job_id, word)

    with ThreadPoolExecutor(1) as pool:
        with catalog.begin() as connection:
            write(connection, job_id, "first")
            other = pool.submit(write_alone, "second")
            wait_for_a_lock(catalog)
        other.result(PATIENCE_S)
    with catalog.read() as connection:
        job = jobs.get(connection, job_id)
    kept = [notice.code for notice in job.warnings] or [result.id.removeprefix("radius-") for result in job.results]
    assert kept == ["first", "second"]


def test_events_do_not_wait_for_a_writer_of_the_job(catalog: Catalog):
    """Rows that refer to the job: the lock lets them pass, so two writers cannot wait for each other."""
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        warn(connection, job_id, "first")
        with catalog.begin() as other:
            other.execute(sa.text("SET lock_timeout = '20s'"))
            jobs.events.record(other, job_id, "segment")


def test_a_session_that_stands_still_in_a_transaction_is_ended(settings: Settings, catalog: Catalog):
    job_id = insert_job(catalog, {})
    hasty = settings.model_copy(update={"idle_transaction_s": 0.3})
    frozen = Catalog(hasty.resolved_database_url)

    def freeze_and_wake() -> None:
        with frozen.begin() as connection:
            warn(connection, job_id, "frozen")
            with catalog.begin() as successor:  # waits for the frozen one's lock
                successor.execute(sa.text("SET lock_timeout = '60s'"))
                warn(successor, job_id, "successor")
            warn(connection, job_id, "late")

    with pytest.raises(Unavailable):
        freeze_and_wake()
    frozen.close()
    with catalog.read() as connection:
        assert [notice.code for notice in jobs.get(connection, job_id).warnings] == ["successor"]


def test_every_session_has_the_limit(settings: Settings):
    catalog = Catalog(settings.resolved_database_url)
    with catalog.read() as connection:
        assert connection.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "15s"
    catalog.close()
    unlimited = Catalog(settings.model_copy(update={"idle_transaction_s": 0}).resolved_database_url)
    with unlimited.read() as connection:
        assert connection.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "0"
    unlimited.close()
