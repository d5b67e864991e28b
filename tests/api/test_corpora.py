"""Corpora: registering a path, a built-in or a data set; names; listing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.catalog import corpora
from service.contracts.corpora import CorpusCounts
from service.settings import Settings
from tests.api.support import EXTRACTION, catalog_of, fields_of, problem_of, submit


def register(api: TestClient, **fields: Any) -> dict[str, Any]:
    response = api.post("/v1/corpora", json=fields)
    assert response.status_code == 201, response.text
    return response.json()


@pytest.fixture
def text(settings: Settings) -> Path:
    """A file and a folder under the corpora root."""
    (settings.corpora_root / "folder").mkdir()
    (settings.corpora_root / "folder" / "b.txt").write_text("text")
    path = settings.corpora_root / "a.txt"
    path.write_text("text")
    return path


def test_the_builtin_is_there_from_the_start(api: TestClient):
    corpus = api.get("/v1/corpora/python-docs").json()
    assert (corpus["id"], corpus["name"], corpus["source"]["builtin"]) == ("python-docs", "python-docs", "python-docs")


@pytest.mark.parametrize("path", ["a.txt", "folder", "folder/b.txt", "folder/", "./a.txt", "."])
def test_a_path_under_the_corpora_root_is_registered(api: TestClient, text: Path, path: str):
    response = api.post("/v1/corpora", json={"path": path, "name": "mine"})
    corpus = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/corpora/{corpus['id']}"
    assert (corpus["name"], corpus["state"], corpus["source"]["path"]) == ("mine", "scanning", path)
    assert (corpus["documents"], corpus["bytes"], corpus["sha256"], corpus["error"]) == (None, None, None, None)


def test_a_corpus_is_found_by_id_and_by_name(api: TestClient):
    corpus = register(api, builtin="python-docs", name="mine")
    assert api.get(f"/v1/corpora/{corpus['id']}").json() == corpus
    assert api.get("/v1/corpora/mine").json() == corpus


def test_a_corpus_without_a_name_is_called_by_its_id(api: TestClient):
    corpus = register(api, builtin="python-docs")
    assert corpus["name"] == corpus["id"]


def test_a_data_set_is_ready_at_once(api: TestClient):
    fields = {"dataset": "Skylion007/openwebtext", "revision": "main", "configuration": "plain_text", "split": "train"}
    corpus = register(api, name="openwebtext", **fields)
    assert corpus["state"] == "ready"
    assert {name: corpus["source"][name] for name in fields} == fields


def test_the_presets_corpus_may_be_any_that_has_its_name(api: TestClient):
    problem_of(submit(api, "analysis", {"preset": "paper/f1"}), 422)
    register(api, dataset="Skylion007/openwebtext", name="openwebtext")
    assert submit(api, "analysis", {"preset": "paper/f1"}).status_code == 202


@pytest.mark.parametrize("name", ["mine", "python-docs"])
def test_a_name_is_taken_once(api: TestClient, name: str):
    first = api.post("/v1/corpora", json={"builtin": "python-docs", "name": name})
    second = api.post("/v1/corpora", json={"builtin": "python-docs", "name": name})
    assert first.status_code == (409 if name == "python-docs" else 201)
    problem = problem_of(second, 409, "conflict")
    assert fields_of(problem) == ["name"]


def test_a_name_cannot_be_the_id_of_another_corpus(api: TestClient):
    """Ids and names are looked up alike, so that such a name would never be found."""
    other = register(api, builtin="python-docs", name="first")
    problem_of(api.post("/v1/corpora", json={"builtin": "python-docs", "name": other["id"]}), 409, "conflict")


def test_a_path_that_is_not_there_is_refused_at_once(api: TestClient):
    problem = problem_of(api.post("/v1/corpora", json={"path": "nothing.txt"}), 422, "invalid_input")
    assert fields_of(problem) == ["path"]


def test_corpora_are_listed_newest_first_in_pages(api: TestClient):
    ids = [register(api, builtin="python-docs")["id"] for _ in range(3)]
    walked, after = [], None
    while True:
        query = {"limit": 1} | ({"after": after} if after else {})
        body = api.get("/v1/corpora", params=query).json()
        walked += [corpus["id"] for corpus in body["data"]]
        after = body["next"]
        if after is None:
            break
    assert sorted(walked) == sorted([*ids, "python-docs"])
    assert [corpus_id for corpus_id in walked if corpus_id != "python-docs"] == ids[::-1]


def test_counts_and_failures_are_shown(api: TestClient):
    counted, failed = register(api, builtin="python-docs"), register(api, builtin="python-docs")
    error = {"code": "invalid_input", "detail": "not UTF-8"}
    with catalog_of(api).begin() as connection:
        corpora.record_counts(connection, counted["id"], CorpusCounts(documents=2, bytes=10, sha256="0" * 64))
        corpora.record_failure(connection, failed["id"], error)
    shown = api.get(f"/v1/corpora/{counted['id']}").json()
    assert (shown["state"], shown["documents"], shown["bytes"], shown["sha256"]) == ("ready", 2, 10, "0" * 64)
    shown = api.get(f"/v1/corpora/{failed['id']}").json()
    assert (shown["state"], shown["error"]) == ("failed", error)
    problem = problem_of(submit(api, spec=EXTRACTION | {"corpus": failed["id"]}), 422, "invalid_input")
    assert fields_of(problem) == ["spec.corpus"]


def test_a_corpus_that_is_still_counted_may_be_used(api: TestClient):
    corpus = register(api, builtin="python-docs", name="mine")
    assert corpus["state"] == "scanning"
    assert submit(api, spec=EXTRACTION | {"corpus": "mine"}).status_code == 202


def test_an_unknown_corpus_is_not_found(api: TestClient):
    problem_of(api.get("/v1/corpora/nothing"), 404, "not_found")


def test_of_two_registrations_at_once_one_is_refused(api: TestClient, text: Path, monkeypatch: pytest.MonkeyPatch):
    register(api, path="a.txt", name="mine")
    monkeypatch.setattr(corpora, "_by_name", lambda *_: None)  # neither sees what the other has not committed
    problem_of(api.post("/v1/corpora", json={"path": "a.txt", "name": "mine"}), 409, "conflict")
