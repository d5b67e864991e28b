"""POST /v1/jobs with bodies that are not JSON, not our JSON, or JSON made to hurt."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from tests.api.support import CANARY, JSON, nothing_added, problem_of


def job(spec: str = "", top: str = "") -> str:
    """A job that would be accepted, with further members in its spec and beside it."""
    return f'{{"kind": "extraction", "spec": {{"model": "m", "corpus": "python-docs"{spec}}}{top}}}'


def analysis(spec: str) -> str:
    return f'{{"kind": "analysis", "spec": {{"preset": "small/f1", {spec}}}}}'


NOT_JSON = {
    "NaN": job(', "seed": NaN'),
    "Infinity": job(', "seed": Infinity'),
    "-Infinity": job("", ', "priority": -Infinity'),
    "NaN in a place nobody reads": analysis('"energy": {"beta": [NaN]}'),
    "beyond a double": job(', "seed": 1e999'),
    "beyond a double, negative": job("", ', "priority": -1e999'),
    "5000 digits": job(f', "seed": {"9" * 5000}'),
    "100,000 open arrays": "[" * 100_000,
    "100,000 arrays": "[" * 100_000 + "]" * 100_000,
    "100,000 arrays in a spec": job(f', "radius": {"[" * 100_000}{"]" * 100_000}'),
    "100,000 objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a comment": job() + "// " + CANARY,
    "two values": job() + job(),
    "truncated": job()[:-1],
    "single quotes": job().replace('"', "'"),
    "trailing comma": job("", ","),
    "raw control character": job(', "revision": "\x01"'),
    "only white space": " \n\t",
    "a word": CANARY,
    "byte-order mark": b"\xef\xbb\xbf" + job().encode(),
    "not UTF-8": job(', "revision": "X"').encode().replace(b"X", b"\xff\xfe"),
    "a surrogate in UTF-8": job(', "revision": "X"').encode().replace(b"X", b"\xed\xa0\x80"),
    "overlong UTF-8": job(', "revision": "X"').encode().replace(b"X", b"\xc0\xaf"),
    "UTF-16": job().encode("utf-16"),
    "UTF-32": job().encode("utf-32"),
    "NUL bytes": b"\x00\x00\x00\x00",
    "empty": b"",
}

WRONG = {
    "lone surrogate in a value": job(f', "revision": "{CANARY}\\ud800"'),
    "lone surrogate in a label": job("", f', "labels": {{"a": "{CANARY}\\udfff"}}'),
    "NUL in a value": job(f', "revision": "{CANARY}\\u0000"'),
    "NUL in a label": job("", f', "labels": {{"a": "{CANARY}\\u0000"}}'),
    "NUL in a preset": f'{{"kind": "analysis", "spec": {{"preset": "{CANARY}\\u0000"}}}}',
    "line end in a site": job(', "sites": ["final_norm_out\\n"]'),
    "DEL in a value": job(f', "revision": "{CANARY}\\u007f"'),
    "terminal escape (C1) in a value": job(f', "revision": "{CANARY}\\u009b31m"'),
    "400 digits, seed": job(f', "seed": {"9" * 400}'),
    "400 digits, chunks": job(f', "chunks": {"9" * 400}'),
    "400 digits, priority": job("", f', "priority": -{"9" * 400}'),
    "400 digits, position": job(f', "position": {"9" * 400}'),
    "a fraction below the doubles": analysis('"radius": {"fractions": [1e-999]}'),
    "900 arrays": job(f', "revision": {"[" * 900}{"]" * 900}'),
    "900 objects": analysis('"energy": ' + '{"a":' * 900 + "1" + "}" * 900),
    "a key twice": job("", ', "kind": "extraction"'),
    "a key twice in the spec": job(', "chunks": 5, "chunks": 6'),
    "array": f'[{{"kind": "{CANARY}"}}]',
    "string": f'"{CANARY}"',
    "number": "1",
    "true": "true",
    "null": "null",
    "kind unknown": f'{{"kind": "{CANARY}", "spec": {{}}}}',
    "kind an array": f'{{"kind": ["{CANARY}"], "spec": {{}}}}',
    "kind an object": f'{{"kind": {{"{CANARY}": 1}}, "spec": {{}}}}',
    "kind missing": '{"spec": {}}',
    "spec an array": f'{{"kind": "extraction", "spec": ["{CANARY}"]}}',
    "spec a string": f'{{"kind": "extraction", "spec": "{CANARY}"}}',
    "spec null": '{"kind": "extraction", "spec": null}',
    "spec missing": '{"kind": "extraction"}',
    "preset an array": f'{{"kind": "extraction", "spec": {{"preset": ["{CANARY}"]}}}}',
    "true for a number": job(', "chunks": true'),
    "a string for a number": job(', "chunks": "5"'),
    "a fraction for a whole number": job(', "chunks": 1.5'),
    "a number for a string": job(', "revision": 5'),
    "an object for a string": job(f', "revision": {{"{CANARY}": 1}}'),
    "huge string": job(f', "revision": "{CANARY * 100_000}"'),
    "huge label": job("", f', "labels": {{"a": "{CANARY * 1000}"}}'),
    "33 labels": job("", ', "labels": ' + json.dumps({f"{CANARY}{i}": "x" for i in range(33)})),
    "15,000 sites": job(', "sites": ' + json.dumps(["final_norm_out"] * 15_000)),
    "10,000 wrong sites": job(', "sites": ' + json.dumps([CANARY] * 10_000)),
    "priority 0": job("", ', "priority": 0'),
}

WRONG_KEYS = {
    "unknown field": job("", f', "{CANARY}": 1'),
    "unknown field in the spec": job(f', "{CANARY}": 1'),
    "unknown field of the radius": analysis(f'"radius": {{"{CANARY}": 1}}'),
    "huge key": job(f', "{CANARY * 10_000}": 1'),
    "lone surrogate in a key": job("", f', "{CANARY}\\ud800": 1'),
    "lone surrogate in a key of the spec": job(f', "{CANARY}\\udfff": 1'),
    "lone surrogate in a label's key": job("", f', "labels": {{"{CANARY}\\ud800": "a"}}'),
    "NUL in a key": job(f', "{CANARY}\\u0000": 1'),
    "NUL in a label's key": job("", f', "labels": {{"{CANARY}\\u0000": "a"}}'),
    "huge label's key": job("", f', "labels": {{"{CANARY * 1000}": "a"}}'),
    "a label that is a number": job("", f', "labels": {{"{CANARY}": 5}}'),
}


def test_the_body_all_these_are_made_from_is_accepted(api: TestClient):
    assert api.post("/v1/jobs", content=job(), headers=JSON).status_code == 202


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused(refusing: TestClient, body: str | bytes):
    content = body if isinstance(body, bytes) else body.encode()
    with nothing_added(refusing, "jobs"):
        response = refusing.post("/v1/jobs", content=content, headers=JSON)
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused_and_not_repeated(refusing: TestClient, body: str):
    with nothing_added(refusing, "jobs"):
        response = refusing.post("/v1/jobs", content=body.encode(), headers=JSON)
    problem_of(response, 422)
    assert CANARY not in response.text
    assert len(response.content) < 8192


@pytest.mark.parametrize("body", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_wrong_keys_are_refused_and_not_repeated(refusing: TestClient, body: str):
    with nothing_added(refusing, "jobs"):
        response = refusing.post("/v1/jobs", content=body.encode(), headers=JSON)
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text
    assert len(response.content) < 8192


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/octet-stream", CANARY, ""],
)
def test_a_body_that_does_not_say_it_is_json_is_refused(refusing: TestClient, content_type: str):
    response = refusing.post("/v1/jobs", content=job(), headers={"content-type": content_type})
    problem_of(response, range(400, 423))
    assert CANARY not in response.text
