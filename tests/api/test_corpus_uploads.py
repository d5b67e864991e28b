"""Uploading a corpus: the endings, the options, and that the client's file name never becomes a path."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from service.contracts.corpora import ENDINGS
from service.settings import Settings
from tests.api.support import CANARY, fields_of, files_below, problem_of

EVIL = [
    "../../evil.txt",
    "/etc/evil.txt",
    "..\\..\\evil.txt",
    "C:\\evil.txt",
    "a/b/evil.txt",
    "%2e%2e%2fevil.txt",
    "evil\x00.txt",
    "evil\n.txt",
    ".txt",
    "evil.exe.txt",
    "$(touch evil).txt",
    "a" * 4000 + ".txt",
    "\u202eevil.txt",
]


def upload(api: TestClient, client_name: str = "a.txt", content: bytes = b"text", /, **form: str) -> httpx2.Response:
    return api.post("/v1/corpora", files={"file": (client_name, content)}, data=form)


def kept(settings: Settings) -> list[str]:
    return files_below(settings.data_dir / "uploads")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_is_kept_byte_by_byte_under_the_servers_name(api: TestClient, settings: Settings, ending: str):
    content = bytes(range(256)) * 100
    response = upload(api, f"theirs{ending}", content, name="mine")
    corpus = response.json()
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"/v1/corpora/{corpus['id']}"
    assert corpus["source"]["upload"] == f"{corpus['id']}{ending}"
    assert kept(settings) == [f"{corpus['id']}{ending}"]
    assert (settings.uploads_root / kept(settings)[0]).read_bytes() == content


@pytest.mark.parametrize("name", EVIL, ids=lambda name: repr(name)[:24])
def test_the_clients_file_name_never_touches_a_path(refusing: TestClient, refusing_settings: Settings, name: str):
    above = refusing_settings.data_dir.parent
    before = files_below(above)
    response = upload(refusing, name)
    assert response.status_code == 201, response.text
    assert "evil" not in response.text
    added = set(files_below(above)) - {*before, "data/radius.db-wal", "data/radius.db-shm"}
    assert added == {f"data/uploads/{response.json()['id']}.txt"}


@pytest.mark.parametrize(
    "name", ["a.exe", "a", "txt", "a.txt.exe", "a.json5", "a.pkl", "a.txt ", "a.jsonl.bz2", CANARY]
)
def test_an_unknown_ending_is_refused_and_not_kept(refusing: TestClient, refusing_settings: Settings, name: str):
    before = kept(refusing_settings)
    response = upload(refusing, name)
    problem = problem_of(response, 422, "invalid_input")
    assert fields_of(problem) == ["file"]
    assert CANARY not in response.text
    assert kept(refusing_settings) == before


def test_options_go_with_the_file(api: TestClient):
    corpus = upload(api, documents="paragraphs", errors="replace", text_field="body", name="mine").json()
    source = corpus["source"]
    assert (source["documents"], source["errors"], source["text_field"]) == ("paragraphs", "replace", "body")
    assert (source["path"], source["dataset"], source["builtin"]) == (None, None, None)


def test_switches_and_separators_go_with_the_file_and_endings_in_any_case(api: TestClient):
    form = {"skip_rows_without_text": "true", "document_separator": "<|endoftext|>"}
    source = upload(api, "A.TXT", **form).json()["source"]
    assert source["upload"].endswith(".txt")
    assert (source["skip_rows_without_text"], source["document_separator"]) == (True, "<|endoftext|>")
    assert upload(api, skip_rows_without_text="false").json()["source"]["skip_rows_without_text"] is False


def test_an_empty_file_is_refused_and_not_kept(api: TestClient, settings: Settings):
    assert fields_of(problem_of(upload(api, "a.txt", b""), 422, "invalid_input")) == ["file"]
    assert kept(settings) == []


WRONG = {
    "skip_rows_without_text": {"skip_rows_without_text": "yes"},
    "two divisions": {"documents": "paragraphs", "document_separator": "x"},
    "name": {"name": "../x"},
    "documents": {"documents": CANARY},
    "errors": {"errors": "ignore"},
    "format": {"format": CANARY},
    "upload": {"upload": "radius.db"},
    "path": {"path": "a.txt"},
    "dataset": {"dataset": "owner/name"},
    "builtin": {"builtin": CANARY},
    "text_field": {"text_field": "a\nb"},
}


@pytest.mark.parametrize("form", WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_refused_and_the_file_not_kept(
    refusing: TestClient, refusing_settings: Settings, form: dict[str, str]
):
    before = kept(refusing_settings)
    response = upload(refusing, **form)
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text
    assert kept(refusing_settings) == before


def test_an_unknown_option_is_refused_and_not_repeated(refusing: TestClient):
    response = upload(refusing, **{CANARY: "1"})
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


def test_a_taken_name_leaves_no_file(api: TestClient, settings: Settings):
    upload(api, name="mine")
    before = kept(settings)
    problem_of(upload(api, name="mine"), 409, "conflict")
    assert kept(settings) == before


def test_a_failed_registration_leaves_no_file(api: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> None:
        raise RuntimeError("the engine is away")

    monkeypatch.setattr("service.jobs.engine.JobEngine.enqueue", fail)
    problem_of(upload(api), 500, "internal")
    assert kept(settings) == []


def test_a_form_without_a_file_is_refused(api: TestClient):
    problem = problem_of(api.post("/v1/corpora", files={"other": ("a.txt", b"text")}), 422, "invalid_input")
    assert "none of file, " in problem["detail"]
    problem_of(api.post("/v1/corpora", files={"file": (None, b"text")}), 422, "invalid_input")


def test_two_files_are_refused(api: TestClient, settings: Settings):
    files = [("file", ("a.txt", b"1")), ("file", ("b.txt", b"2"))]
    problem = problem_of(api.post("/v1/corpora", files=files), 422, "invalid_input")
    assert problem["errors"] == [{"field": "file", "message": "the field is given twice"}]
    assert kept(settings) == []


def test_too_many_fields_are_refused(api: TestClient, settings: Settings):
    problem_of(upload(api, **{f"field{number}": "1" for number in range(11)}), 422, "invalid_input")
    assert kept(settings) == []


def test_a_media_type_is_read_without_regard_to_case(api: TestClient):
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ntext\r\n--x--\r\n'
    response = api.post("/v1/corpora", content=form, headers={"content-type": "Multipart/Form-Data; boundary=x"})
    assert response.status_code == 201
