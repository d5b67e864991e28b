"""POST /v1/corpora with hostile JSON, paths that lead elsewhere, and bodies of another type."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.api.support import CANARY, JSON, nothing_added, problem_of

HOSTILE = {
    "NaN": '{"builtin": "python-docs", "name": NaN}',
    "beyond a double": '{"builtin": "python-docs", "name": 1e999}',
    "5000 digits": f'{{"builtin": {"9" * 5000}}}',
    "400 digits": f'{{"builtin": {"9" * 400}}}',
    "100,000 arrays": "[" * 100_000 + "]" * 100_000,
    "100,000 objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "not UTF-8": b'{"path": "\xff"}',
    "byte-order mark": b'\xef\xbb\xbf{"builtin": "python-docs"}',
    "empty": b"",
    "array": "[]",
    "null": "null",
    "truncated": '{"builtin": "python-docs"',
    "nothing": "{}",
    "two sources": '{"path": ".", "builtin": "python-docs"}',
    "key twice": '{"builtin": "python-docs", "builtin": "python-docs"}',
    "the server's own field": '{"upload": "radius.db"}',
    "unknown built-in": f'{{"builtin": "{CANARY}"}}',
    "unknown format": f'{{"path": ".", "format": "{CANARY}"}}',
    "lone surrogate": f'{{"path": "{CANARY}\\ud800"}}',
    "lone surrogate in a key": f'{{"{CANARY}\\ud800": 1}}',
    "NUL": f'{{"path": "{CANARY}\\u0000"}}',
    "NUL in the data set": f'{{"dataset": "{CANARY}\\u0000"}}',
    "number for a path": '{"path": 5}',
    "array for a path": f'{{"path": ["{CANARY}"]}}',
    "empty path": '{"path": ""}',
    "name with a slash": f'{{"builtin": "python-docs", "name": "../{CANARY}"}}',
    "name with a line end": '{"builtin": "python-docs", "name": "a\\n"}',
    "name too long": f'{{"builtin": "python-docs", "name": "{"a" * 129}"}}',
    "empty name": '{"builtin": "python-docs", "name": ""}',
}

ELSEWHERE = [
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "..",
    "../",
    "../radius.db",
    "../../../../../../etc/passwd",
    "here/../../radius.db",
    "./../radius.db",
    "here/..",
    "%2e%2e/radius.db",
    "..%2fradius.db",
    "%2fetc%2fpasswd",
    "..\\radius.db",
    "~",
    "~root",
    "file:///etc/passwd",
    "\uff0e\uff0e/radius.db",
]


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_refused_and_not_repeated(refusing: TestClient, body: str | bytes):
    content = body if isinstance(body, bytes) else body.encode()
    with nothing_added(refusing, "corpora"):
        response = refusing.post("/v1/corpora", content=content, headers=JSON)
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


def test_an_unknown_field_is_refused_and_not_repeated(refusing: TestClient):
    response = refusing.post("/v1/corpora", json={"builtin": "python-docs", CANARY: 1})
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


def test_a_problem_does_not_name_our_classes(refusing: TestClient):
    assert "CorpusRequest" not in refusing.post("/v1/corpora", json=[]).text


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_leads_out_of_the_corpora_root_is_refused(refusing: TestClient, path: str):
    problem = problem_of(refusing.post("/v1/corpora", json={"path": path}), 422, "invalid_input")
    assert problem["errors"][0]["field"] == "path"
    assert "radius.db" not in str(problem)


LONG = {"256": "a" * 256, "512": "a" * 512, "100 wide": "\U0001f600" * 100, "251 folders": "a/" * 250 + "a" * 12}


@pytest.mark.parametrize("path", LONG.values(), ids=LONG)
def test_a_path_longer_than_the_file_system_takes_is_refused(refusing: TestClient, path: str):
    problem_of(refusing.post("/v1/corpora", json={"path": path}), 422, "invalid_input")


@pytest.mark.parametrize("name", ["/etc", "../..", "..", ".", "a/../../etc", "./a", "~/a"])
def test_a_data_set_is_a_hub_name_and_no_local_folder(refusing: TestClient, name: str):
    """The `datasets` library reads a local folder where its name is one, from anywhere on the disk."""
    problem_of(refusing.post("/v1/corpora", json={"dataset": name}), 422, "invalid_input")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
def test_a_body_that_does_not_say_it_is_json_is_refused(refusing: TestClient, content_type: str | None):
    """A page of another site can make a browser send text/plain without asking first."""
    headers = {} if content_type is None else {"content-type": content_type}
    response = refusing.post("/v1/corpora", content=b'{"builtin": "python-docs"}', headers=headers)
    problem_of(response, range(400, 423))


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "multipart/x"])
def test_a_broken_form_is_refused(refusing: TestClient, content_type: str):
    response = refusing.post("/v1/corpora", content=CANARY.encode(), headers={"content-type": content_type})
    problem_of(response, range(400, 423))
    assert CANARY not in response.text
