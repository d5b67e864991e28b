"""A job's events as a stream over a real socket: live, taken up again, and over when nothing can follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from service.catalog import events, jobs
from tests.api.products import insert_job
from tests.api.serving import Server

PATIENCE_S = 10.0


@contextmanager
def stream(server: Server, job_id: str, last: str | None = None) -> Iterator[Iterator[tuple[str, str]]]:
    """Id and type of each event, as it comes; an answer that stands still is an error."""
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    with (
        httpx2.Client(timeout=PATIENCE_S) as http,
        http.stream("GET", f"{server.url}/v1/jobs/{job_id}/events", headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
        yield parsed(answer.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    told: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            told[name] = value
        else:
            yield told["id"], told["event"]
            told = {}


@pytest.fixture
def job_id(server: Server) -> str:
    return insert_job(server.catalog, {})


def change(server: Server, job_id: str, *states: str) -> None:
    """Let the job take these states, in one transaction; "gone" is none at all."""
    steps: dict[str, Any] = {"running": jobs.start, "cancelling": jobs.request_cancel, "gone": jobs.delete}
    with server.catalog.begin() as connection:
        for state in states:
            if state in steps:
                steps[state](connection, job_id)
            else:
                assert jobs.finish(connection, job_id, state)


def test_events_come_while_the_job_goes_on_and_a_reader_that_was_cut_off_misses_none(server: Server, job_id: str):
    with stream(server, job_id) as first:
        known, kind = next(first)
        assert kind == "queued"
        change(server, job_id, "running")
        known, kind = next(first)
        assert kind == "running"
    with server.catalog.begin() as connection:  # while nobody reads
        events.record(connection, job_id, "planned")
    with stream(server, job_id, known) as second:
        known, kind = next(second)
        assert kind == "planned"
        change(server, job_id, "succeeded")
        assert [kind for _, kind in second] == ["succeeded"]


def test_who_knows_the_last_event_is_not_kept_waiting(server: Server, job_id: str):
    change(server, job_id, "running", "succeeded")
    with stream(server, job_id) as whole:
        told = list(whole)
    assert [kind for _, kind in told] == ["queued", "running", "succeeded"]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": told[-1][0]}
    answer = httpx2.get(f"{server.url}/v1/jobs/{job_id}/events", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


def test_the_stream_of_a_job_that_is_deleted_ends(server: Server, job_id: str):
    with stream(server, job_id) as told:
        assert next(told)[1] == "queued"
        change(server, job_id, "running", "succeeded", "gone")
        assert list(told) == []


def test_the_end_before_a_retry_is_not_the_end(server: Server, job_id: str):
    change(server, job_id, "running", "failed")
    with server.catalog.begin() as connection:
        jobs.retry(connection, job_id)
    with stream(server, job_id) as told:
        assert [next(told)[1] for _ in range(4)] == ["queued", "running", "failed", "queued"]
        change(server, job_id, "cancelling", "cancelled")
        assert [kind for _, kind in told] == ["cancelling", "cancelled"]
