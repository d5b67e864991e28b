"""Idempotency keys: the same key and the same body are the same job, whenever and however often they come."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from starlette.testclient import TestClient

from service.catalog import jobs, training
from service.catalog.engine import Catalog
from service.catalog.tables import training_runs
from service.ids import new_id
from tests.api.products import insert_run
from tests.api.support import EXTRACTION, JSON, fields_of, problem_of

BODY = {"kind": "extraction", "spec": EXTRACTION}
AT_ONCE = 50


def post(api: TestClient, body: dict[str, Any], key: str) -> Any:
    return api.post("/v1/jobs", content=json.dumps(body), headers=JSON | {"Idempotency-Key": key})


def test_the_same_key_and_body_is_the_same_job(api: TestClient):
    first, again = (post(api, BODY, "mine") for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    problem_of(post(api, BODY | {"priority": 7}, "mine"), 409, "conflict")
    assert post(api, BODY, "yours").json()["id"] != first.json()["id"]
    assert len(api.get("/v1/jobs").json()["data"]) == 2
    problem_of(post(api, BODY, "x" * 201), 422)


def test_50_at_once_are_one_job(api: TestClient):
    ready = Barrier(AT_ONCE)

    def submit(_: int) -> Any:
        ready.wait()
        return post(api, BODY, "mine")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(submit, range(AT_ONCE)))
    assert {answer.status_code for answer in answers} == {202}
    (job_id,) = {answer.json()["id"] for answer in answers}
    assert [job["id"] for job in api.get("/v1/jobs").json()["data"]] == [job_id]


def test_a_replay_is_the_same_job_whatever_has_become_of_what_it_names(api: TestClient, catalog: Catalog):
    run = insert_run(catalog)
    body = {"kind": "extraction", "spec": EXTRACTION | {"model": f"run:{run}"}}
    problem_of(post(api, body, "mine"), 422)
    for step in (10, 20):
        with catalog.begin() as connection:
            training.keep_checkpoint(connection, run, step, "0" * 64)
        answer = post(api, body, "mine")
        assert (answer.status_code, answer.json()["spec"]["model"]) == (202, f"run:{run}@10")
    with catalog.begin() as connection:
        connection.execute(training_runs.delete())
    assert post(api, body, "mine").json()["id"] == answer.json()["id"]
    problem_of(post(api, body, "yours"), 422)


def test_a_key_does_not_make_a_hostile_spec_better(api: TestClient):
    deep: Any = 0
    for _ in range(900):
        deep = [deep]
    for corpus in (deep, "\ud800"):
        assert fields_of(problem_of(post(api, {"kind": "extraction", "spec": {"corpus": corpus}}, "mine"), 422))
    assert post(api, BODY, "mine").status_code == 202


def test_only_the_key_is_a_duplicate(api: TestClient, catalog: Catalog):
    row = {"id": post(api, BODY, "mine").json()["id"], "kind": "extraction", "spec": {}}
    row |= {"priority": 50, "labels": {}}
    with pytest.raises(IntegrityError), catalog.begin() as connection:
        jobs.insert(connection, row)
    with pytest.raises(jobs.DuplicateKey), catalog.begin() as connection:
        jobs.insert(connection, row | {"id": new_id("job"), "idempotency_key": "mine"})
