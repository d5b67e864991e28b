"""One search by several workers: the report of one worker, also when workers die; a damaged part is found."""

# One database: large searches in parts; other modules try the catalog on both.

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.artifacts.report import ReportFolder
from service.catalog import jobs
from service.catalog import radius as radius_catalog
from service.catalog.tables import segments
from service.client import Handle
from service.contracts.jobs import Job
from tests.api.products import insert_job, measure
from tests.databases.migrated import sqlite_settings
from tests.faults.conftest import OPTIONS
from tests.faults.fleet import COMPUTE, Fleet, running, wait_until
from tests.faults.outcomes import outcome
from tests.faults.products import publish_set

pytestmark = pytest.mark.long

ROWS, D = 8_000, 24
SPEC = {"fractions": [0.5, 1.0], "exclude": "same_document", "radii": [2.0, 4.0], "k": 2}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Fleet]:
    """Every search is large here, and a part of it short."""
    changes = {"progress_interval_s": 0.01, "search_split_work": 1, "search_segment_s": 0.03, "shard_tokens": 8_192}
    settings = sqlite_settings(tmp_path_factory.mktemp("parts"), **OPTIONS | changes)
    shutil.copytree(tiny_model, settings.models_root / "tiny")
    with running(settings) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def set_id(fleet: Fleet) -> str:
    return publish_set(fleet, ROWS, D)


@pytest.fixture(scope="module")
def whole(fleet: Fleet, set_id: str) -> list[Any]:
    return by_one_worker(fleet, set_id)


def by_one_worker(fleet: Fleet, set_id: str) -> list[Any]:
    """What one worker finds in one segment."""
    job_id = insert_job(fleet.catalog, {"activations": set_id})
    measure(fleet.settings, fleet.catalog, job_id, set_id, **SPEC)
    with fleet.catalog.begin() as connection:
        jobs.finish(connection, job_id, "succeeded")
    return outcome(fleet.settings, fleet.job(job_id))


def test_parts_and_one_worker_give_the_same_statistics(fleet: Fleet, set_id: str):
    options = {"statistics": True, "extrapolate_to": [10**6], "fractions": [0.02, 0.5, 1.0]}
    job_id = insert_job(fleet.catalog, {"activations": set_id})
    measure(fleet.settings, fleet.catalog, job_id, set_id, **options)
    with fleet.catalog.begin() as connection:
        jobs.finish(connection, job_id, "succeeded")
    job = fleet.client.submit("radius", {"activations": set_id, **options}).wait(timeout_s=300).job
    assert len(parts_of(fleet, job.id, "search")) > 1
    assert outcome(fleet.settings, job) == outcome(fleet.settings, fleet.job(job_id))


def submit(fleet: Fleet, set_id: str) -> Handle:
    return fleet.client.submit("radius", {"activations": set_id, **SPEC})


def parts_of(fleet: Fleet, job_id: str, kind: str) -> list[Any]:
    with fleet.catalog.read() as connection:
        query = sa.select(segments).where(segments.c.job == job_id, segments.c.stage == kind)
        return list(connection.execute(query))


def finished_parts(fleet: Fleet, job_id: str) -> list[Path]:
    """The files of the parts whose segments have ended."""
    _, digits = job_id.split("-", 1)
    ended = {part.name.rpartition("-")[2] for part in parts_of(fleet, job_id, "search") if not part.running}
    found = fleet.settings.staging_root.glob(f"radius-{digits}*.parts/search-*/range-00000.safetensors")
    return sorted(path for path in found if path.parent.name.rpartition("-")[2] in ended)


def check_same(fleet: Fleet, job: Job, whole: list[Any]) -> None:
    """Every number but those of timing and provenance, and every byte of the neighbours."""
    assert outcome(fleet.settings, job) == whole
    assert not list(fleet.settings.staging_root.glob("radius-*"))


def provenance(fleet: Fleet, job: Job) -> dict[str, Any]:
    with fleet.catalog.read() as connection:
        _, sha256 = radius_catalog.get(connection, job.results[0].id)
    return ReportFolder(fleet.settings.artifacts_root / job.results[0].id, sha256).report().provenance["search"]


def test_a_search_in_parts_gives_the_report_of_one_worker(fleet: Fleet, set_id: str, whole: list[Any]):
    job = submit(fleet, set_id).wait().job
    found = parts_of(fleet, job.id, "search")
    assert len(found) > 3
    assert len({part.worker for part in found}) > 1
    told = provenance(fleet, job)["parts"]
    assert (told["search"], told["count"]) == (len(found), len(parts_of(fleet, job.id, "count")))
    assert told["settle"] == len(parts_of(fleet, job.id, "settle")) > 1
    ticks = [*found, *parts_of(fleet, job.id, "count"), *parts_of(fleet, job.id, "radius")]
    assert sum(part.done for part in ticks) == ROWS
    check_same(fleet, job, whole)


def test_a_search_of_one_part_takes_the_null_model_that_was_drawn_beside_its_plan(fleet: Fleet):
    set_id = publish_set(fleet, 200, 8)
    whole = by_one_worker(fleet, set_id)
    job = submit(fleet, set_id).wait().job
    assert {kind: len(parts_of(fleet, job.id, kind)) for kind in ("split", "null", "search", "radius")} == {
        "split": 1, "null": 1, "search": 0, "radius": 1,
    }  # fmt: skip
    check_same(fleet, job, whole)


def test_workers_that_are_killed_change_nothing(fleet: Fleet, set_id: str, whole: list[Any]):
    handle = submit(fleet, set_id)
    for name in COMPUTE[:2]:
        wait_until(
            lambda name=name: any(
                part.worker == name and part.running for part in parts_of(fleet, handle.id, "search")
            ),
            f"{name} has a part",
        )
        fleet.kill(name)
    job = handle.wait().job
    assert any(part.attempt > 1 for part in parts_of(fleet, job.id, "search"))
    check_same(fleet, job, whole)


def test_a_damaged_part_fails_the_job_and_a_retry_makes_it_again(fleet: Fleet, set_id: str, whole: list[Any]):
    handle = submit(fleet, set_id)
    wait_until(lambda: len(finished_parts(fleet, handle.id)) > 1, "some parts are there")
    for name in COMPUTE:
        fleet.signal(name, signal.SIGSTOP)
    damaged = finished_parts(fleet, handle.id)[0]
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    for name in COMPUTE:
        fleet.signal(name, signal.SIGCONT)
    job = fleet.wait_for_end(handle.id)
    assert (job.state, (job.error or {}).get("code"), job.results) == ("failed", "corrupt_artifact", [])
    fleet.client.retry(handle.id)
    check_same(fleet, handle.wait().job, whole)


def test_cancelling_stops_the_parts_and_deleting_removes_them(fleet: Fleet, set_id: str):
    handle = submit(fleet, set_id)
    wait_until(lambda: len(finished_parts(fleet, handle.id)) > 0, "a part is there")
    fleet.client.cancel(handle.id)
    assert fleet.wait_for_end(handle.id).state == "cancelled"
    fleet.client.delete_job(handle.id)
    assert finished_parts(fleet, handle.id) == []


def test_the_searches_of_an_analysis_are_split_too(fleet: Fleet):
    spec = {"model": "tiny", "corpus": "python-docs", "chunk_tokens": 4, "chunks": 6_000, "chunks_per_document": "all"}
    job = fleet.client.submit("analysis", spec | {"sites": ["final_norm_out"]}).wait().job
    assert [result.type for result in job.results] == ["activations", "radius"]
    assert len(parts_of(fleet, job.id, "search")) > 1
