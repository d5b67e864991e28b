"""GET /v1/jobs: newest first, by cursor, stable while jobs arrive, by kind and state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.catalog import jobs
from tests.api.support import catalog_of, import_array, problem_of, submit


def submitted(api: TestClient, count: int) -> list[str]:
    """Ids of `count` new jobs, newest first."""
    return [submit(api).json()["id"] for _ in range(count)][::-1]


def page(api: TestClient, **query: Any) -> tuple[list[str], str | None]:
    body = api.get("/v1/jobs", params=query).json()
    assert set(body) == {"data", "next"}
    return [job["id"] for job in body["data"]], body["next"]


def test_no_jobs_are_an_empty_page(api: TestClient):
    assert page(api) == ([], None)


def test_jobs_are_listed_newest_first_and_as_they_are(api: TestClient):
    ids = submitted(api, 3)
    listed = api.get("/v1/jobs").json()["data"]
    assert [job["id"] for job in listed] == ids
    assert listed == [api.get(f"/v1/jobs/{job_id}").json() for job_id in ids]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_pages_follow_one_another_without_gap_or_repeat(api: TestClient, limit: int):
    ids = submitted(api, 6)
    found, following = page(api, limit=limit)
    while following is not None:
        assert len(found) % limit == 0
        more, following = page(api, limit=limit, after=following)
        assert more, "a cursor leads to another page"
        found += more
    assert found == ids


def test_a_walk_through_the_pages_is_not_disturbed_by_new_jobs(api: TestClient):
    ids = submitted(api, 5)
    found, following = page(api, limit=2)
    while following is not None:
        submitted(api, 2)
        more, following = page(api, limit=2, after=following)
        found += more
    assert found == ids


def test_the_same_cursor_gives_the_same_page(api: TestClient):
    submitted(api, 4)
    _, cursor = page(api, limit=2)
    first = page(api, limit=2, after=cursor)
    submitted(api, 2)
    assert page(api, limit=2, after=cursor) == first


def test_jobs_are_filtered_by_kind(api: TestClient):
    set_id = import_array(api, np.eye(3))
    extractions = submitted(api, 2)
    measured = submit(api, "radius", {"activations": set_id}).json()["id"]
    assert page(api, kind="radius") == ([measured], None)
    assert page(api, kind="extraction") == (extractions, None)
    assert page(api, kind="analysis") == ([], None)


def test_jobs_are_filtered_by_state(api: TestClient):
    newest, middle, oldest = submitted(api, 3)
    with catalog_of(api).begin() as connection:
        jobs.start(connection, middle)
        jobs.finish(connection, oldest, "failed", {"code": "internal", "detail": "what was wrong"})
    assert page(api, state="queued") == ([newest], None)
    assert page(api, state="running") == ([middle], None)
    assert page(api, state="failed") == ([oldest], None)
    assert page(api, state="failed", kind="radius") == ([], None)
    assert api.get(f"/v1/jobs/{oldest}").json()["error"] == {"code": "internal", "detail": "what was wrong"}


def test_a_filtered_listing_has_pages_too(api: TestClient):
    ids = submitted(api, 5)
    with catalog_of(api).begin() as connection:
        jobs.start(connection, ids[1])
    first, following = page(api, state="queued", limit=2)
    second, last = page(api, state="queued", limit=2, after=following)
    assert (first, second, last) == ([ids[0], ids[2]], [ids[3], ids[4]], None)


def test_an_unknown_job_is_not_found(api: TestClient):
    problem_of(api.get("/v1/jobs/job-0"), 404, "not_found")
