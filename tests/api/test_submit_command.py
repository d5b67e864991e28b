"""`radius submit` and `radius watch`: the job's id comes first, however the waiting ends."""

# One database: the output of commands.

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from service import cli
from service.catalog import jobs
from service.client import Client
from tests.api.fronts import BUSY, front
from tests.api.serving import Server
from tests.api.support import EXTRACTION, ON_SQLITE

pytestmark = ON_SQLITE

SPEC = [part for name, value in EXTRACTION.items() for part in ("--set", f"{name}={value}")]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The exit code of `radius …`."""
    monkeypatch.setattr(sys, "argv", ["radius", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@contextmanager
def meanwhile(server: Server, act: Callable[[str], object]) -> Iterator[None]:
    """Within the block, `act` on the next job that is submitted."""
    with Client(server.url) as client:
        known = {job.id for job in client.jobs()}

    def find() -> None:
        deadline = time.monotonic() + 20
        with Client(server.url) as client:
            while time.monotonic() < deadline:
                for job in client.jobs():
                    if job.id not in known:
                        time.sleep(0.1)
                        act(job.id)
                        return
                time.sleep(0.02)

    thread = threading.Thread(target=find, daemon=True)
    thread.start()
    yield
    thread.join(30)


def end(server: Server, job_id: str, state: str) -> None:
    with server.catalog.begin() as connection:
        if state == "cancelled":
            jobs.request_cancel(connection, job_id)
        jobs.finish(connection, job_id, state, {"code": "internal", "detail": "[/] the model is away"})


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_the_id_of_a_job_that_did_not_succeed_is_printed_first(
    server: Server, state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    seen: list[str] = []
    with meanwhile(server, lambda job_id: (seen.append(job_id), end(server, job_id, state))):
        assert run(monkeypatch, "submit", "extraction", *SPEC, "--watch", "--url", server.url) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == seen
    assert "job_failed: [/] the model is away" in shown.err
    assert run(monkeypatch, "watch", *seen, "--json", "--url", server.url) == 1
    shown = capsys.readouterr()
    assert (json.loads(shown.out)["id"], json.loads(shown.out)["state"]) == (seen[0], state)


def test_the_id_is_there_when_the_waiting_is_interrupted(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """With --json the id is on standard error; the job goes on."""
    seen: list[str] = []
    # A shell starts what runs in its background with this signal ignored, and Python then leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with meanwhile(server, lambda job_id: (seen.append(job_id), os.kill(os.getpid(), signal.SIGINT))):
            assert run(monkeypatch, "submit", "extraction", *SPEC, "--watch", "--json", "--url", server.url) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    shown = capsys.readouterr()
    assert shown.err.splitlines()[0] == seen[0]
    with Client(server.url) as client:
        assert client.job(seen[0]).state == "queued"


def test_a_job_is_submitted_though_the_service_is_just_away(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("service.client.connection._FIRST_PAUSE_S", 0.02)
    with front(server.url, BUSY) as busy:
        assert run(monkeypatch, "submit", "extraction", *SPEC, "--url", busy.url) == 0
    with Client(server.url) as client:
        assert client.job(capsys.readouterr().out.strip()).state == "queued"
