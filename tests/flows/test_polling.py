"""The engine's threads poll their queues only when something waits, on both databases."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.workflows import WAITING
from service.jobs.engine import CONTROL_QUEUE, JobEngine
from service.jobs.polling import QueuePolling, is_waiting
from service.settings import Settings
from tests.databases.migrated import sqlite_settings
from tests.databases.soak import settings_on

PAUSE_S = 0.01


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def room() -> threading.Event:
    made = threading.Event()
    made.set()
    return made


@pytest.fixture
def polling(catalog: Catalog, room: threading.Event, stopping: threading.Event) -> QueuePolling:
    return QueuePolling(catalog, {CONTROL_QUEUE: PAUSE_S}, room.is_set, stopping)


def enqueue(settings: Settings, catalog: Catalog, name: str) -> None:
    with closing(JobEngine(settings.resolved_database_url)) as engine, catalog.begin() as connection:
        engine.enqueue(connection, "radius", name, 10, name)


def cancel(settings: Settings, name: str) -> None:
    with closing(JobEngine(settings.resolved_database_url)) as engine:
        engine.cancel(name)


def poll(polling: QueuePolling) -> Future[None]:
    """A thread that is about to poll."""
    found: Future[None] = Future()

    def run() -> None:
        polling.block(CONTROL_QUEUE)
        found.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    return found


def is_blocked(found: Future[None]) -> bool:
    time.sleep(20 * PAUSE_S)
    return not found.done()


def test_what_waits_is_seen_until_it_is_taken(settings: Settings, catalog: Catalog):
    assert not is_waiting(catalog, CONTROL_QUEUE)
    enqueue(settings, catalog, "a")
    assert is_waiting(catalog, CONTROL_QUEUE)
    assert not is_waiting(catalog, "another")
    cancel(settings, "a")
    assert not is_waiting(catalog, CONTROL_QUEUE)


def test_what_another_version_put_there_is_not_waited_for(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("service.jobs.engine.APP_VERSION", "jobs-0")
    enqueue(settings, catalog, "a")
    assert not is_waiting(catalog, CONTROL_QUEUE)


def test_the_check_reads_an_index(tmp_path: Path):
    settings = sqlite_settings(tmp_path)
    with closing(Catalog(settings.resolved_database_url)) as catalog, catalog.read() as connection:
        explained = sa.text(f"EXPLAIN QUERY PLAN {WAITING['sqlite']}")
        plan = connection.execute(explained, {"queue": CONTROL_QUEUE, "version": "jobs-0"}).all()
    assert ["USING" in row.detail and "INDEX" in row.detail for row in plan] == [True]


def test_a_poll_is_blocked_until_something_waits(settings: Settings, catalog: Catalog, polling: QueuePolling):
    found = poll(polling)
    assert is_blocked(found)
    enqueue(settings, catalog, "a")
    found.result(timeout=10)


def test_a_worker_without_room_does_not_poll(
    settings: Settings, catalog: Catalog, polling: QueuePolling, room: threading.Event
):
    room.clear()
    enqueue(settings, catalog, "a")
    found = poll(polling)
    assert is_blocked(found)
    room.set()
    found.result(timeout=10)


def test_a_worker_that_stops_blocks_no_thread(catalog: Catalog, polling: QueuePolling, stopping: threading.Event):
    found = poll(polling)
    assert is_blocked(found)
    stopping.set()
    found.result(timeout=10)


def test_a_poll_is_blocked_for_some_seconds_at_most(
    catalog: Catalog, polling: QueuePolling, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("service.jobs.polling._LONGEST_S", 0.1)
    poll(polling).result(timeout=10)


def test_a_database_that_is_away_is_left_to_the_engine(tmp_path: Path, stopping: threading.Event):
    with closing(Catalog(f"sqlite:///{tmp_path}/without-tables.sqlite")) as catalog:
        poll(QueuePolling(catalog, {CONTROL_QUEUE: PAUSE_S}, lambda: True, stopping)).result(timeout=3)


_ENGINE = """
import collections, json, sys, threading, time
import sqlalchemy as sa
from dbos import DBOS
from service.catalog.engine import Catalog
from service.jobs.engine import APP_NAME, APP_VERSION, engine_url
from service.jobs.polling import POLL_S, QueuePolling

statements, slow = collections.Counter(), False

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(connection, cursor, statement, *_):
    if threading.current_thread().name == "queue-worker-control":
        statements["checks" if statement.startswith("SELECT 1 FROM") else "polls"] += 1
        if slow and "UPDATE" in statement:
            time.sleep(0.3)  # a claim that takes longer than any pause

@DBOS.workflow(name="radius")
def work(job_id):
    print(json.dumps({"taken": time.time()}), flush=True)

QueuePolling(Catalog(sys.argv[1]), {"control": 0.05}, lambda: True, threading.Event()).begin()
DBOS(config={"name": APP_NAME, "system_database_url": engine_url(sys.argv[1]), "executor_id": "tried",
             "application_version": APP_VERSION, "run_migrations": False, "console_log_level": "ERROR"})
DBOS.listen_queues(["control"])
DBOS.launch()
DBOS.register_queue("control", polling_interval_sec=POLL_S, on_conflict="always_update")
while not statements["checks"]:  # until the engine has started
    time.sleep(0.01)
statements.clear()
while statements["checks"] < 20:
    time.sleep(0.01)
print(json.dumps(statements), flush=True)
slow = True
time.sleep(60)
"""


@pytest.mark.long
@settings_on("postgresql")
def test_an_idle_engine_checks_and_does_not_poll(settings: Settings, catalog: Catalog):
    """With the engine itself: fails if an upgrade renames its threads or takes connections at other times."""
    command = [sys.executable, "-c", _ENGINE, settings.resolved_database_url]
    waited = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            counts = json.loads(process.stdout.readline())
            for name in "abc":
                enqueued = time.time()
                enqueue(settings, catalog, name)
                waited.append(json.loads(process.stdout.readline())["taken"] - enqueued)
                time.sleep(0.5)
        finally:
            process.kill()
    assert counts.get("polls", 0) < counts["checks"], (
        counts
    )  # unblocked, each check would be three statements of a poll
    assert max(waited) < 10, waited  # a workflow that is claimed begins at once, not when another one waits
