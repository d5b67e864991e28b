"""Large JSON bodies: counted while they arrive, parsed beside the server, answered as small ones are."""

# No database: evaluations use none.

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx2
import pytest
from starlette.testclient import TestClient

from service.api import evaluations
from service.api.body_limits import SMALL_BODY
from service.errors import TooMany, Unavailable
from service.settings import Settings
from tests.api.support import JSON, client_of, problem_of
from tests.databases.migrated import sqlite_settings

ROUTE = "/v1/energy/evaluate"
SMALL = b'{"patterns": [[-2.0, 1], [0.0, 1e-3]], "queries": [[0.5, 2], [-2.0, 1]], "beta": 2.0}'
WRONG = {
    "not JSON": b'{"patterns": ',
    "a number beyond a double": b'{"patterns": [[1e999]], "queries": [[1]]}',
    "an integer beyond a double": b'{"patterns": [[%s]], "queries": [[1]]}' % (b"9" * 400),
    "NaN": b'{"patterns": [[NaN]], "queries": [[1]]}',
    "a key twice": b'{"patterns": [[1]], "patterns": [[2]], "queries": [[1]]}',
    "a string": b'{"patterns": [[1], ["a"]], "queries": [[1]]}',
    "true": b'{"patterns": [[true]], "queries": [[1]]}',
    "an empty row": b'{"patterns": [[]], "queries": [[1]]}',
    "no rows": b'{"patterns": [], "queries": [[1]]}',
    "rows of two lengths": b'{"patterns": [[1], [1, 2]], "queries": [[1]]}',
    "other lengths": b'{"patterns": [[1]], "queries": [[1, 2]]}',
    "no queries": b'{"patterns": [[1]]}',
    "an unknown field": b'{"patterns": [[1]], "queries": [[1]], "canary": 1}',
    "beta 0": b'{"patterns": [[1]], "queries": [[1]], "beta": 0}',
    "an array": b"[1]",
}


def large(body: bytes) -> bytes:
    """The same JSON, with white space before it."""
    return body.rjust(len(body) + SMALL_BODY)


def read_all(answer: IO[bytes]) -> bytes:
    with answer:
        return answer.read()


def post(client: TestClient, body: bytes, **headers: str) -> httpx2.Response:
    return client.post(ROUTE, content=body, headers=JSON | headers)


def test_a_large_body_is_answered_as_a_small_one(stateless: TestClient):
    small, beside = post(stateless, SMALL), post(stateless, large(SMALL))
    assert (small.status_code, beside.status_code) == (200, 200)
    assert beside.content == small.content
    assert beside.headers["content-type"] == small.headers["content-type"] == "application/json"


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_wrong_body_is_described(stateless: TestClient, body: bytes):
    problem_of(post(stateless, body), 422, "invalid_input")


@pytest.mark.parametrize("name", ["not JSON", "a string", "rows of two lengths", "other lengths"])
def test_what_is_wrong_in_a_large_body_is_named_alike(stateless: TestClient, name: str):
    small, beside = post(stateless, WRONG[name]), post(stateless, large(WRONG[name]))
    assert problem_of(beside, 422, "invalid_input") == problem_of(small, 422, "invalid_input")


def test_more_values_than_the_limit_are_refused_before_parsing(stateless: TestClient, monkeypatch: pytest.MonkeyPatch):
    def never(*_: object) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(evaluations.Evaluations, "compute", never)
    problem = problem_of(post(stateless, b'{"patterns": [' + b"[0]," * 1_000_100), 413, "too_large")
    assert problem["errors"][0]["field"] == "body"


def test_a_spec_has_fewer_values(stateless: TestClient):
    body = b'{"kind": "extraction", "spec": {"a": [' + b"[0]," * 20_000 + b"0]}}"
    problem_of(stateless.post("/v1/jobs", content=body, headers=JSON), 413, "too_large")
    problem_of(stateless.post("/v1/corpora", content=body, headers=JSON), 413, "too_large")


def test_an_answer_of_many_pieces_is_whole(stateless: TestClient):
    body = {"patterns": [[0.0], [1.0]], "queries": [[at / 7] for at in range(9_000)]}
    answer = stateless.post(ROUTE, json=body)
    assert len(answer.content) > 2**20
    assert [found["g"] for found in answer.json()["results"][:3]] == [0.0, (1 / 7) ** 2, (2 / 7) ** 2]
    assert len(answer.json()["results"]) == 9_000


def test_a_body_that_finds_no_memory_is_asked_to_come_again(tmp_path: Path):
    with client_of(sqlite_settings(tmp_path, body_memory_bytes=2**20)) as client:
        refused = post(client, SMALL.rjust(2**20 + 1))
        problem_of(refused, 429, "too_many_requests")
        assert int(refused.headers["Retry-After"]) > 0
        for _ in range(3):  # what was held is given back each time
            assert post(client, large(SMALL)).status_code == 200


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path):
    with client_of(sqlite_settings(tmp_path, evaluation_s=0.01)) as client:
        problem_of(post(client, large(SMALL)), 503, "unavailable")
        assert post(client, SMALL).status_code == 200


def test_a_process_that_dies_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(evaluations, "module_command", lambda *_: ["/bin/sh", "-c", "kill -9 $$"])
    with pytest.raises(Unavailable):
        asyncio.run(evaluations.Evaluations(Settings(data_dir=tmp_path)).compute("ours", "evaluate", large(SMALL)))


def test_beyond_slots_and_queue_evaluations_are_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """One is computed, one waits; the third and a large one are told to come again."""
    going_on = threading.Event()
    monkeypatch.setitem(evaluations.TASKS, "evaluate", lambda *_: iter([b"1"] if going_on.wait(20) else []))

    async def scene() -> list[bytes]:
        desk = evaluations.Evaluations(Settings(data_dir=tmp_path, evaluation_slots=1, evaluation_queue=1))
        accepted = [asyncio.create_task(desk.compute("ours", "evaluate", SMALL)) for _ in range(2)]
        await asyncio.sleep(0.05)
        for body in (SMALL, large(SMALL)):
            with pytest.raises(TooMany):
                await desk.compute("ours", "evaluate", body)
        going_on.set()
        return [read_all(await task) for task in accepted]

    assert asyncio.run(scene()) == [b"1", b"1"]


def test_a_project_has_half_of_the_slots_where_there_are_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Of ours one is computed and one waits; another project's is computed meanwhile, and ends first."""
    ours = threading.Event()

    def task(body: bytes, _limits: dict[str, int]) -> Iterator[bytes]:
        assert body == b"theirs" or ours.wait(20)
        return iter([body])

    monkeypatch.setitem(evaluations.TASKS, "evaluate", task)
    settings = Settings(data_dir=tmp_path, api_keys_file=tmp_path / "keys", evaluation_slots=2, evaluation_queue=2)

    async def scene() -> None:
        desk = evaluations.Evaluations(settings)
        accepted = [asyncio.create_task(desk.compute("ours", "evaluate", b"ours")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TooMany):
            await desk.compute("ours", "evaluate", b"ours")
        assert read_all(await desk.compute("theirs", "evaluate", b"theirs")) == b"theirs"
        assert not any(task.done() for task in accepted)
        ours.set()
        assert [read_all(await task) for task in accepted] == [b"ours"] * 2

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"content-type": "text/plain"}, "content-type"),
        ({"content-type": "application/x-www-form-urlencoded"}, "content-type"),
        ({"content-type": "application/json; charset=latin-1"}, "content-type"),
        ({"content-encoding": "gzip"}, "content-encoding"),
        ({"content-encoding": "br, gzip"}, "content-encoding"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/estimate", "/v1/corpora", ROUTE])
def test_another_media_type_or_encoding_is_415(stateless: TestClient, path: str, headers: dict[str, str], field: str):
    problem = problem_of(stateless.post(path, content=SMALL, headers=JSON | headers), 415, "unsupported_media_type")
    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "given", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/x+json"]
)
def test_json_in_utf8_is_read(stateless: TestClient, given: str):
    assert post(stateless, SMALL, **{"content-type": given}).status_code == 200


def test_the_limits_are_shown(stateless: TestClient):
    shown = json.loads(stateless.get("/v1/limits").content)
    assert (shown["max_json_values"], shown["max_query_characters"], shown["max_d_model"]) == (20_000, 100_000, 65_536)
