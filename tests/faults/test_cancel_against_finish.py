"""A job is cancelled at about the time it ends: it ends once, one way, and its products say the same."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from service.catalog import jobs
from service.catalog.engine import Catalog
from service.contracts.base import now
from service.contracts.jobs import FINAL_STATES, Job
from service.ids import derived_id
from service.jobs.control import JobControl
from service.jobs.engine import JobEngine
from service.jobs.retention import Retention
from service.settings import Settings
from tests.api.products import insert_job, publish_texts, sample_vectors
from tests.api.support import client_of
from tests.faults.conftest import Tally, on
from tests.faults.fleet import Fleet, wait_until
from tests.faults.outcomes import outcome, published_by, unlisted
from tests.faults.products import publish_set
from tests.faults.profile import PROFILE, SEED

AT_ONCE = 16
LONGEST_S = 1.2


@pytest.fixture(scope="module")
def spec(fleet: Fleet) -> dict[str, Any]:
    return {"activations": publish_set(fleet, 40), "fractions": [1.0]}


@pytest.fixture(scope="module")
def unbroken(fleet: Fleet, spec: dict[str, Any]) -> list[Any]:
    return outcome(fleet.settings, fleet.run("radius", spec).job)


def race(fleet: Fleet, spec: dict[str, Any], chance: random.Random) -> Job:
    """Submit a job and cancel it a random time after a worker began with it, or after its result was published."""
    handle = fleet.client.submit("radius", spec)
    if chance.random() < 0.5:
        wait_until(lambda: fleet.owner(handle.id) is not None or ended(fleet.job(handle.id)), "a worker takes the job")
    else:
        fleet.wait_for(handle.id, lambda job: bool(job.results))
    time.sleep(chance.uniform(0, LONGEST_S))
    answer = httpx2.post(f"{fleet.url}/v1/jobs/{handle.id}/cancel", timeout=60)
    assert answer.status_code in (202, 409), answer.text
    done = fleet.wait_for_end(handle.id)
    assert (answer.status_code == 409) == (done.state == "succeeded"), (answer.text, done)
    return done


def ended(job: Job) -> bool:
    return job.state in FINAL_STATES


def run_races(fleet: Fleet, spec: dict[str, Any]) -> list[Job]:
    """All races, a few at a time."""
    chances = [random.Random(f"{SEED} {number}") for number in range(PROFILE.races)]
    done: list[Job] = []

    def run() -> None:
        while chances:
            done.append(race(fleet, spec, chances.pop()))

    threads = [threading.Thread(target=run, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def check_products(fleet: Fleet, job: Job, unbroken: list[Any]) -> None:
    """One end; what is listed is published and whole, and what is published is listed."""
    events = [event.type for event in fleet.client.events(job.id)]
    assert [kind for kind in events if kind in FINAL_STATES] == [job.state], events
    assert published_by(fleet.catalog, job.id) == [result.id for result in job.results]
    assert fleet.client.job(job.id) == job
    assert outcome(fleet.settings, job) in (([], unbroken) if job.state == "cancelled" else (unbroken,))


@pytest.mark.long
@on("sqlite")
def test_a_cancelled_job_ends_one_way(fleet: Fleet, spec: dict[str, Any], unbroken: list[Any], tally: Tally):
    before = unlisted(fleet.settings, fleet.catalog)
    done = run_races(fleet, spec)
    assert len(done) == PROFILE.races, "a race raised an error; it is told above"
    states = Counter(job.state for job in done)
    tally(seed=SEED, races=len(done), **states, cancelled_with_products=sum(
        job.state == "cancelled" and bool(job.results) for job in done
    ))  # fmt: skip
    assert set(states) <= {"cancelled", "succeeded"}
    for job in done:
        check_products(fleet, job, unbroken)
    cancelled = [job for job in done if job.state == "cancelled"]
    for job in cancelled[:3]:
        fleet.client.retry(job.id)
    for job in cancelled[:3]:
        assert outcome(fleet.settings, fleet.wait_for_end(job.id)) == unbroken
    for job in done:
        fleet.client.delete_job(job.id)
    # A worker may give its files their names after the job was deleted: those are collected when they are old.
    with closing(JobEngine(fleet.settings.resolved_database_url)) as engine:
        retention = Retention(JobControl(fleet.catalog, engine, fleet.settings), fleet.settings)
        retention.clean_up(now() + timedelta(seconds=2 * fleet.settings.leftover_age_s))
    assert unlisted(fleet.settings, fleet.catalog) <= before


def test_what_a_cancelled_job_had_not_listed_yet_is_deleted_with_it(settings: Settings):
    """It is cancelled after its files got their name, before they are listed."""
    catalog = Catalog(settings.resolved_database_url)
    job_id = insert_job(catalog, {})
    set_id = publish_texts(settings, catalog, sample_vectors(), insert_job(catalog, {}))
    report = settings.artifacts_root / derived_id("radius", job_id)
    (settings.staging_root / report.name).mkdir(parents=True)
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        jobs.request_cancel(connection, job_id)
        jobs.finish(connection, job_id, "cancelled")
    report.mkdir()
    with client_of(settings) as client:
        assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert unlisted(settings, catalog) == set()
    assert (settings.artifacts_root / set_id).exists()
    catalog.close()
