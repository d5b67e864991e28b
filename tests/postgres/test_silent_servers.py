"""A server that does not refuse but is silent, being frozen or out of reach; or one without our tables."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from service.catalog.engine import Catalog
from service.catalog.migrate import migrate
from service.errors import Unavailable
from service.jobs.engine import COMPUTE_QUEUE, JobEngine
from service.settings import Settings
from tests.api.support import client_of, problem_of, readiness_of, submit
from tests.databases.server import Server

SUBMISSIONS = 60  # more than the API has threads
SHORT = {"database_answer_s": 1.5, "database_connect_s": 2}


@contextmanager
def at_once(seconds: float = 4.0) -> Iterator[None]:
    """Fail unless what is within ends in time: by the settings within 1 s, on a machine that has time."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def check_alive_and_not_ready(api: TestClient, seconds: float = 4.0) -> None:
    with at_once(seconds):
        answer = api.get("/readyz")
    assert problem_of(answer, 503, "unavailable")["detail"] == "the metadata database does not answer"
    assert answer.headers["retry-after"]
    with at_once(seconds):
        assert api.get("/healthz").status_code == 200


def check_refused(answer: Any) -> None:
    problem_of(answer, 503, "unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.long
def test_while_the_server_stands_still_the_api_says_so(settings: Settings, server: Server):
    with client_of(settings.model_copy(update=SHORT)) as api, ThreadPoolExecutor(SUBMISSIONS) as pool:
        assert submit(api).status_code == 202
        assert readiness_of(api).status_code == 200
        with server.frozen():
            check_alive_and_not_ready(api)
            with at_once(20):
                answers = [pool.submit(submit, api) for _ in range(SUBMISSIONS)]
                time.sleep(0.5)
                check_alive_and_not_ready(api, 5)  # sixty threads of this process are busy with giving those up
                assert not all(answer.done() for answer in answers)
                for answer in answers:
                    check_refused(answer.result())
        with at_once(5):
            while api.get("/readyz").status_code != 200:
                time.sleep(0.05)
        assert {submit(api).status_code for _ in range(20)} == {202}  # no connection of the pool is a dead one


def test_a_server_that_cannot_be_reached_keeps_nobody_waiting(settings: Settings):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        url = f"postgresql://radius@127.0.0.1:{silent.getsockname()[1]}/radius"
        with client_of(settings.model_copy(update=SHORT | {"database_url": url})) as api:
            check_alive_and_not_ready(api)
            with at_once(10):
                check_refused(submit(api))


def test_a_long_wait_for_a_free_connection_is_an_outage(settings: Settings):
    catalog = Catalog(settings.resolved_database_url, answer_s=0.1)
    held = [catalog.engine.connect() for _ in range(15)]
    with pytest.raises(Unavailable), catalog.read():
        pass
    for connection in held:
        connection.close()
    catalog.check()
    catalog.close()


def test_an_answer_that_says_no_is_not_the_end_of_the_connection(settings: Settings):
    catalog = Catalog(settings.resolved_database_url, answer_s=5)
    with catalog.read() as connection:
        session = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    with pytest.raises(Unavailable), catalog.read() as connection:  # noqa: PT012 - the limit is of the session
        connection.execute(sa.text("SET statement_timeout = 50"))
        connection.execute(sa.text("SELECT pg_sleep(5)"))
    with catalog.read() as connection:
        assert connection.scalar(sa.text("SELECT pg_backend_pid()")) == session
    catalog.close()


@pytest.mark.parametrize("ours", [False, True], ids=["nothing", "the engine's tables lacking"])
def test_a_database_that_was_not_migrated_is_an_outage(settings: Settings, server: Server, ours: bool):
    url = server.url(server.make_database())
    if ours:
        migrate(url)
    with client_of(settings.model_copy(update={"database_url": url})) as api:
        assert "radius db upgrade" in problem_of(readiness_of(api), 503, "unavailable")["detail"]
        if not ours:
            check_refused(api.get("/v1/jobs"))
        check_refused(submit(api))


@pytest.mark.long
def test_the_job_engine_is_not_waited_for_either(settings: Settings, server: Server):
    with closing(JobEngine(settings.resolved_database_url, answer_s=0.5)) as engine:
        engine.check()
        calls = [
            engine.check,
            lambda: engine.cancel("job-1"),
            lambda: engine.delete_workflows("job-1", 0),
            lambda: engine.held_by("compute-1"),
            lambda: engine.waiting(COMPUTE_QUEUE),
            lambda: engine.requeue("job-1.a", COMPUTE_QUEUE),
            lambda: engine.ended_badly(["job-1"]),
        ]
        with server.frozen():
            check_unavailable(calls)
        server.stop_hard()
        try:
            check_unavailable(calls)
        finally:
            server.start()
        engine.check()


def check_unavailable(calls: list[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(len(calls)) as pool, at_once(15):
        for answer in [pool.submit(call) for call in calls]:
            with pytest.raises(Unavailable):
                answer.result()
