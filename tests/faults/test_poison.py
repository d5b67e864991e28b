"""What kills three workers in a row has failed, a segment of a job or the counting of a corpus; nothing else has."""

from __future__ import annotations

import signal

import pytest
import sqlalchemy as sa

from service.catalog import corpora
from service.catalog.tables import background_tasks
from service.client import JobFailed
from tests.faults.conftest import Tally, on
from tests.faults.fleet import Fleet, wait_until
from tests.faults.test_control_deaths import SPEC

DEATHS = 3
LINES = 3_000_000  # some seconds of counting


@on("postgresql")
def test_three_deaths_at_one_place_are_a_verdict(fleet: Fleet, tally: Tally):
    # A sample of the whole corpus is drawn before the job knows how large it is: no progress to count.
    handle = fleet.client.submit("extraction", SPEC | {"chunks": 100_000, "reuse": False})
    for attempt in range(1, DEATHS + 1):

        def held(attempt: int = attempt) -> bool:
            owner = fleet.owner(handle.id)
            return owner is not None and (owner.segment, owner.attempt) == ("sample", attempt)

        wait_until(held, f"owner {attempt} draws the sample")
        owner = fleet.owner(handle.id)
        assert owner is not None
        fleet.signal(owner.worker, signal.SIGKILL)
    with pytest.raises(JobFailed, match="3 times without any progress"):
        handle.wait(timeout_s=120)
    failed = fleet.job(handle.id)
    assert failed.error is not None
    assert failed.error["code"] == "poison"
    assert fleet.run("extraction", SPEC).job.state == "succeeded"
    tally(deaths=DEATHS, code=failed.error["code"])


@on("sqlite")
@pytest.mark.long
def test_a_corpus_that_kills_whoever_counts_it_is_given_up(fleet: Fleet, tally: Tally):
    (fleet.settings.corpora_root / "fatal.jsonl").write_text('{"text": "a line among many"}\n' * LINES)
    corpus = fleet.client.register_corpus(name="fatal", path="fatal.jsonl")
    for deaths in range(DEATHS):

        def reader(deaths: int = deaths) -> str | None:
            with fleet.catalog.read() as connection:
                row = connection.execute(
                    sa.select(background_tasks).where(background_tasks.c.id == f"scan-{corpus.id}")
                ).first()
            return row.worker if row is not None and row.deaths == deaths and row.running else None

        wait_until(lambda: reader() is not None, f"it is counted after {deaths} deaths")
        worker = reader()
        assert worker is not None
        fleet.kill(worker)

    def error() -> dict[str, str] | None:
        with fleet.catalog.read() as connection:
            return corpora.find(connection, corpus.id).error

    wait_until(lambda: error() is not None, "the corpus is given up")
    told = error() or {}
    assert told["code"] == "poison"
    assert fleet.run("extraction", SPEC).job.state == "succeeded"
    tally(deaths=DEATHS, code=told["code"])
