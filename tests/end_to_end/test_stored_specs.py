"""A job whose spec another version of the service stored: it gets today's defaults, or fails and says why."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

from service.catalog.engine import Catalog
from service.client import Finished, JobFailed
from service.contracts.jobs import Job, JobKind
from service.jobs.engine import JobEngine
from tests.api.products import insert_job
from tests.end_to_end.conftest import PATIENCE_S, Running


def run_stored(service: Running, kind: JobKind, spec: dict[str, Any]) -> Job:
    """Run a job with that spec in its row, as after an upgrade; returns how it ended."""
    url = service.settings.resolved_database_url
    with closing(Catalog(url)) as catalog, closing(JobEngine(url)) as engine:
        job_id = insert_job(catalog, spec, kind)
        with catalog.begin() as connection:
            engine.enqueue(connection, kind, job_id, 50, job_id)
    with suppress(JobFailed):
        service.client.wait(job_id, timeout_s=PATIENCE_S)
    return service.client.job(job_id)


def test_a_spec_of_an_older_version_gets_the_defaults(service: Running, analysis: Finished):
    stored = {"activations": analysis.job.results[0].id, "fractions": [1.0]}  # neither engine, k, radii nor seed
    job = run_stored(service, "radius", stored)
    assert (job.state, job.error) == ("succeeded", None)
    report = service.client.radius(job.results[0].id)
    (same,) = [part for part in service.client.radius(analysis.job.results[2].id).fractions if part.fraction == 1]
    assert report.fractions[0].nn_distance == same.nn_distance


def test_a_spec_of_a_newer_version_fails_and_names_the_field(service: Running, analysis: Finished):
    stored = {"activations": analysis.job.results[0].id, "invented_field": 3}
    job = run_stored(service, "radius", stored)
    assert job.state == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["field"]) == ("unsupported_spec", "spec.invented_field")
