"""DELETE /v1/corpora/{id}: while it is counted, while jobs read it, with its upload."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.catalog import jobs
from service.catalog.engine import Catalog
from service.errors import Cancelled, InvalidInput
from service.settings import Settings
from tests.api.support import EXTRACTION, catalog_of, problem_of, submit
from workers.flows.engine.runtime import Runtime
from workers.flows.scans.arguments import ScanArguments
from workers.flows.scans.count import scan_corpus

TRAINING = {"preset": "smoke/f3"}
SPECS = {
    "extraction": ("extraction", EXTRACTION | {"corpus": "mine"}),
    "training": ("training", TRAINING | {"data": {"corpus": "mine"}}),
    "sweep": ("sweep", {"preset": "smoke/table3", "training": {"data": {"corpus": "mine"}}}),
}


def register(api: TestClient, **fields: Any) -> str:
    response = api.post("/v1/corpora", json={"builtin": "python-docs", "name": "mine"} | fields)
    assert response.status_code == 201, response.text
    return response.json()["id"]


@pytest.mark.parametrize("by_name", [False, True])
def test_a_corpus_is_deleted_and_its_name_is_free(api: TestClient, by_name: bool):
    corpus_id = register(api)
    assert api.delete(f"/v1/corpora/{'mine' if by_name else corpus_id}").status_code == 204
    problem_of(api.get(f"/v1/corpora/{corpus_id}"), 404, "not_found")
    problem_of(api.delete(f"/v1/corpora/{corpus_id}"), 404, "not_found")
    register(api)


def test_the_uploaded_file_goes_and_a_registered_path_stays(api: TestClient, settings: Settings):
    (settings.corpora_root / "a.txt").write_text("text")
    kept = register(api, builtin=None, path="a.txt")
    sent = api.post("/v1/corpora", files={"file": ("a.txt", b"text")}).json()["id"]
    assert len(list(settings.uploads_root.iterdir())) == 1
    for corpus_id in (kept, sent):
        assert api.delete(f"/v1/corpora/{corpus_id}").status_code == 204
    assert list(settings.uploads_root.iterdir()) == []
    assert (settings.corpora_root / "a.txt").exists()


@pytest.mark.parametrize("kind", SPECS)
def test_a_corpus_stays_while_a_job_reads_it(api: TestClient, kind: str):
    register(api)
    accepted = submit(api, *SPECS[kind])
    assert accepted.status_code == 202, accepted.text
    problem = problem_of(api.delete("/v1/corpora/mine"), 409, "conflict")
    assert accepted.json()["id"] in problem["detail"]
    assert api.get("/v1/corpora/mine").status_code == 200
    with catalog_of(api).begin() as connection:
        jobs.request_cancel(connection, accepted.json()["id"])
        jobs.finish(connection, accepted.json()["id"], "cancelled")
    assert api.delete("/v1/corpora/mine").status_code == 204


def test_a_builtin_stays(api: TestClient):
    problem_of(api.delete("/v1/corpora/python-docs"), 409, "conflict")


def test_a_corpus_is_deleted_while_it_is_counted_and_the_worker_stops(
    api: TestClient, settings: Settings, catalog: Catalog
):
    (settings.corpora_root / "a.jsonl").write_text('{"text": "one"}\n' * 100_000)
    corpus_id = register(api, builtin=None, path="a.jsonl")
    eager = settings.model_copy(update={"progress_interval_s": 0})  # else a hundred thousand lines take a moment
    ended: list[BaseException] = []
    began = threading.Event()

    class Noticed(Runtime):
        def read(self, query: Any) -> Any:
            began.set()
            return super().read(query)

    def scan() -> None:
        try:
            scan_corpus(ScanArguments(corpus=corpus_id), Noticed(eager, catalog, "compute-a"))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=scan, daemon=True)
    thread.start()
    assert began.wait(20)
    assert api.delete(f"/v1/corpora/{corpus_id}").status_code == 204
    thread.join(20)
    assert not thread.is_alive()
    assert [type(error) for error in ended] == [Cancelled]


@pytest.mark.parametrize(
    ("content", "options", "detail"),
    [
        ("", {}, "the corpus has no documents"),
        ("\n\n", {}, "the corpus has no documents"),
        ('{"n": 1}\n', {"skip_rows_without_text": True}, "no documents; 1 rows without text were left out"),
        ('{"text": ""}\n', {}, r"the corpus has no text: its documents \(1\) are empty"),
    ],
)
def test_a_corpus_without_text_is_refused(
    api: TestClient, settings: Settings, catalog: Catalog, content: str, options: dict[str, Any], detail: str
):
    (settings.corpora_root / "a.jsonl").write_text(content)
    corpus_id = register(api, builtin=None, path="a.jsonl", **options)
    with pytest.raises(InvalidInput, match=detail):
        scan_corpus(ScanArguments(corpus=corpus_id), Runtime(settings, catalog, "compute-a"))


def test_what_was_left_out_is_shown(api: TestClient, settings: Settings, catalog: Catalog):
    (settings.corpora_root / "books").mkdir()
    for name, content in (("a.jsonl", '{"text": "one"}\n{}'), ("._a.jsonl", "\x00"), ("b.pdf", "")):
        (settings.corpora_root / "books" / name).write_text(content)
    corpus_id = register(api, builtin=None, path="books", skip_rows_without_text=True)
    scan_corpus(ScanArguments(corpus=corpus_id), Runtime(settings, catalog, "compute-a"))
    shown = api.get(f"/v1/corpora/{corpus_id}").json()
    counts = ("documents", "bytes", "longest_bytes", "rows_without_text", "hidden_files", "other_files")
    assert [shown[name] for name in counts] == [1, 3, 3, 1, 1, 1]
