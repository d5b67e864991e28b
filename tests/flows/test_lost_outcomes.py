"""A workflow whose end the engine could not write down is done again by the same process, on both databases."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing

from dbos import DBOSClient

from service.catalog.engine import Catalog
from service.jobs.engine import JobEngine, engine_url
from service.settings import Settings
from tests.databases.soak import settings_on

_WORKER = """
import sqlite3, sys, threading, time
import sqlalchemy as sa
from dbos import DBOS
from psycopg.errors import ReadOnlySqlTransaction
from service.catalog.engine import Catalog
from service.jobs.engine import APP_NAME, APP_VERSION, CONTROL_QUEUE, JobEngine, engine_url
from service.jobs.liveness import Liveness
from service.settings import Settings
from workers.flows.engine.dispatching import durable
from workers.flows.engine.runtime import Runtime, set_runtime

refusals = ["the end of the first run"]

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def refuse(connection, cursor, statement, parameters, *_):
    if refusals and "UPDATE" in statement and "workflow_status" in statement and "SUCCESS" in str(parameters):
        refusals.pop()
        if connection.dialect.name == "sqlite":
            raise sa.exc.OperationalError(statement, None, sqlite3.OperationalError("database or disk is full"))
        raise sa.exc.InternalError(statement, None, ReadOnlySqlTransaction("cannot execute UPDATE"))

@durable("radius")
def work(job_id):
    print(job_id, flush=True)

url = sys.argv[1]
settings, catalog = Settings(lease_s=1.0), Catalog(url)
runtime = Runtime(settings, catalog, "control-tried", "control")
set_runtime(runtime)
DBOS(config={"name": APP_NAME, "system_database_url": engine_url(url), "executor_id": runtime.worker,
             "application_version": APP_VERSION, "run_migrations": False, "console_log_level": "CRITICAL"})
DBOS.listen_queues([CONTROL_QUEUE])
DBOS.launch()
DBOS.register_queue(CONTROL_QUEUE, polling_interval_sec=0.1, on_conflict="always_update")
liveness = Liveness(catalog, JobEngine(url), settings)
while True:
    liveness.return_lost(runtime.worker, runtime.is_executing)
    time.sleep(0.2)
"""


def state_of(settings: Settings, workflow_id: str) -> str:
    client = DBOSClient(system_database_url=engine_url(settings.resolved_database_url))
    try:
        return client.list_workflows(workflow_ids=[workflow_id])[0].status
    finally:
        client.destroy()


@settings_on("postgresql")
def test_an_end_that_was_not_written_down_is_reached_again(settings: Settings, catalog: Catalog):
    with closing(JobEngine(settings.resolved_database_url)) as engine, catalog.begin() as connection:
        engine.enqueue(connection, "radius", "job-1", 10, "job-1")
    command = [sys.executable, "-c", _WORKER, settings.resolved_database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "job-1\n"
            assert state_of(settings, "job-1") == "PENDING"
            assert process.stdout.readline() == "job-1\n"
            deadline = time.monotonic() + 20
            while state_of(settings, "job-1") != "SUCCESS":
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            process.kill()
