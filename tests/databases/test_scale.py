"""Reads and writes of one job take as long beside many rows as beside few, on both databases.

A size above 10^4 rows is `long`; a smaller one runs with every test. A time is the best of several.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from service.catalog import activations, inputs, jobs, products
from service.catalog.engine import Catalog
from service.catalog.tables import job_inputs
from service.contracts.jobs import JobRequest
from service.errors import Conflict, Unavailable
from service.jobs import references
from service.jobs.control import JobControl
from service.jobs.engine import JobEngine
from service.jobs.estimation import Estimation
from service.jobs.reconciler import JobReconciler
from service.jobs.submission import Submission
from service.principal import DEFAULT_PROJECT
from service.settings import Settings
from tests.api.support import EXTRACTION
from tests.databases.rows import (
    AT,
    add_energy_reports,
    add_jobs,
    add_runs,
    add_segments,
    add_sets,
    analyze,
    job,
    run,
    vectors,
)

LONG = pytest.mark.long
READ_S, LIST_S, LOCK_S = 0.05, 0.1, 0.05


def best_of(count: int, work: Callable[[], object]) -> float:
    def timed() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return min(timed() for _ in range(count))


def record_all_inputs(catalog: Catalog) -> None:
    """As `migrate` does at its end."""
    with catalog.begin() as connection:
        while inputs.record_missing(connection, 1_000):
            pass


@pytest.mark.parametrize("count", [2_000, pytest.param(16_000, marks=LONG)])
def test_the_progress_of_many_segments_is_added_up_in_sql(catalog: Catalog, count: int):
    add_jobs(catalog, range(50), state="running", started_at=AT, total=2 * count)
    for number in range(4):
        add_segments(catalog, number, count)
    analyze(catalog)
    with catalog.of(DEFAULT_PROJECT).read() as connection:  # as a request reads
        progress = jobs.get(connection, job(0)).progress
        assert best_of(5, lambda: jobs.get(connection, job(0))) <= READ_S
        assert best_of(5, lambda: jobs.page(connection, 50, None)) <= LIST_S
        listed = jobs.page(connection, 50, None)[0]
    assert (progress.done, progress.stage) == (count, "publish")
    assert (progress.rate, progress.eta_s) == (1.0, float(count))  # a piece of work per second
    assert [found.progress.done for found in listed] == [0] * 46 + [count] * 4


@pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=LONG)])
def test_a_deletion_reads_no_other_jobs(catalog: Catalog, count: int):
    ended = iter(range(count, count + 10))
    add_jobs(catalog, range(count, count + 10), state="succeeded", finished_at=AT, inputs_recorded=True)
    add_sets(catalog, range(count + 10))

    def delete() -> None:
        with catalog.begin() as connection:
            number = next(ended)
            jobs.delete(connection, job(number))
            products.delete(connection, job(number))

    beside_few = best_of(5, delete)
    add_jobs(catalog, range(count), spec={"activations": [vectors(2)], "queries": vectors(3)})
    add_energy_reports(catalog, range(count))
    record_all_inputs(catalog)
    analyze(catalog)
    assert best_of(5, delete) <= max(LOCK_S, 3 * beside_few)  # a busy machine takes longer beside few, too


def test_inputs_of_jobs_that_an_older_process_wrote_count(catalog: Catalog):
    add_jobs(catalog, [1], state="succeeded", finished_at=AT)
    add_sets(catalog, [1])
    add_jobs(catalog, [2], spec={"activations": [vectors(1)], "queries": None}, inputs_recorded=False)
    with pytest.raises(Conflict), catalog.begin() as connection:
        products.delete(connection, job(1))
    with catalog.begin() as connection:
        jobs.request_cancel(connection, job(2))
        jobs.finish(connection, job(2), "cancelled")
        products.delete(connection, job(1))  # it has ended, and has no report


def test_a_report_of_an_ended_job_counts(catalog: Catalog):
    add_jobs(catalog, [1, 2], state="succeeded", finished_at=AT, inputs_recorded=True)
    add_sets(catalog, [1])
    add_energy_reports(catalog, [2])
    with catalog.begin() as connection:
        inputs.record(connection, job(2), [vectors(1)])
    with pytest.raises(Conflict), catalog.begin() as connection:
        products.delete(connection, job(1))


def test_a_text_that_is_the_id_of_something_of_others_is_no_input(catalog: Catalog):
    """Whoever knows an id cannot keep its owner from deleting it."""
    add_sets(catalog, [1])
    add_runs(catalog, [1])
    spec = {"model": vectors(1), "corpus": f"run:{run(1)}@10", "activations": [vectors(9)]}
    with catalog.of("strangers").begin() as connection:
        jobs.insert(connection, {"id": job(3), "kind": "extraction", "spec": spec, "priority": 50, "labels": {}})
        assert connection.execute(sa.select(job_inputs)).all() == []
    add_jobs(catalog, [4], spec=spec, inputs_recorded=False, project="strangers")
    record_all_inputs(catalog)
    with catalog.begin() as connection:
        assert connection.execute(sa.select(job_inputs)).all() == []
        assert inputs.named_steps(connection, run(1)) == set()


def test_what_a_spec_names_is_recorded_once_and_goes_with_its_job(catalog: Catalog):
    add_sets(catalog, [1, 2])
    add_runs(catalog, [1])
    spec = {
        "activations": [vectors(1), vectors(1)],
        "queries": vectors(2),
        "model": f"run:{run(1)}@10",
        "name": "x" * 99,
    }
    with catalog.begin() as connection:
        row = {"id": job(3), "kind": "energy", "spec": spec, "priority": 50, "labels": {}}
        jobs.insert(connection, row)
        inputs.record(connection, job(3), [vectors(2)])
        named = set(connection.execute(sa.select(job_inputs.c.product)).scalars())
        assert named == {vectors(1), vectors(2), run(1)}
        assert inputs.record_missing(connection, 10) == 0
        jobs.request_cancel(connection, job(3))
        jobs.finish(connection, job(3), "cancelled")
        jobs.delete(connection, job(3))
        assert connection.execute(sa.select(job_inputs)).all() == []


@pytest.mark.parametrize("count", [2_000, pytest.param(260_000, marks=LONG)])
def test_lost_jobs_are_found_among_many_open_ones(settings: Settings, catalog: Catalog, count: int):
    add_jobs(catalog, range(count))
    with closing(JobEngine(settings.resolved_database_url)) as engine:
        uncapped = settings.model_copy(update={"max_queued_jobs": 2 * count})
        submission = Submission(catalog.of("of few jobs"), engine, uncapped)  # whose quota the others do not fill
        reconciler = JobReconciler(catalog, engine, settings)
        lost, waiting = (submission.submit(JobRequest(kind="extraction", spec=EXTRACTION)).id for _ in range(2))
        engine.cancel(lost)
        reconciler.reconcile_lost()
        reconciler.reconcile_versions()
        with catalog.read() as connection:
            assert (jobs.state(connection, lost), jobs.state(connection, waiting)) == ("failed", "queued")
            assert jobs.count_open(connection) == count + 1


@pytest.mark.parametrize("count", [11_000, pytest.param(260_000, marks=LONG)])
def test_ids_of_any_number_are_looked_up(settings: Settings, catalog: Catalog, count: int):
    add_sets(catalog, [1])
    ids = [vectors(number) for number in range(count)]
    with catalog.read() as connection:
        assert activations.published(connection, ids) == {vectors(1): "0"}
    with closing(JobEngine(settings.resolved_database_url)) as engine:
        assert engine.ended_badly(ids) == engine.of_other_versions(ids) == []


def test_too_many_variables_are_not_an_outage(catalog: Catalog):
    most = 250_000 if catalog.engine.dialect.name == "sqlite" else 65_535  # SQLite may be built with fewer
    ids = [str(number) for number in range(most + 1)]
    with pytest.raises(OperationalError), catalog.read() as connection:
        connection.execute(sa.select(job_inputs).where(job_inputs.c.job.in_(ids)))
    with catalog.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(job_inputs)).scalar() == 0


def test_a_failed_step_does_not_stop_the_others(settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    add_jobs(catalog, [1], state="running", started_at=AT, timeout_s=1.0)
    add_jobs(catalog, [2], state="cancelling")

    def fail(*_: Any) -> None:
        raise Unavailable("the metadata database cannot be reached")

    with closing(JobEngine(settings.resolved_database_url)) as engine:
        reconciler = JobReconciler(catalog, engine, settings, [fail])
        monkeypatch.setattr(reconciler, "reconcile_lost", fail)
        reconciler.reconcile()
    with catalog.read() as connection:
        assert (jobs.state(connection, job(1)), jobs.state(connection, job(2))) == ("failed", "cancelled")


@pytest.mark.parametrize("reads", [(Estimation, "refuse_unfit"), (references, "find_model_folder")])
def test_a_submission_reads_files_and_specs_without_the_write_lock(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, reads: tuple[Any, str]
):
    owner, name = reads
    read, times = getattr(owner, name), []

    def read_beside_a_writer(*arguments: Any) -> Any:
        with catalog.begin():  # fails after half a minute if the submission holds the lock
            times.append(name)
            return read(*arguments)

    monkeypatch.setattr(owner, name, read_beside_a_writer)
    with closing(JobEngine(settings.resolved_database_url)) as engine:
        assert Submission(catalog, engine, settings).submit(JobRequest(kind="extraction", spec=EXTRACTION))
    assert times == [name]


def test_deletions_share_one_listing_of_the_folders(settings: Settings, catalog: Catalog):
    add_jobs(catalog, [1, 2], state="succeeded", finished_at=AT)
    folders = [
        settings.artifacts_root / vectors(1),
        settings.staging_root / job(1),
        settings.artifacts_root / vectors(2),
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    with closing(JobEngine(settings.resolved_database_url)) as engine:
        JobControl(catalog, engine, settings).delete(job(1))
    assert [folder.exists() for folder in folders] == [False, False, True]
