"""Ids in paths, cursors, limits and the other query parameters, made to hurt."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.api.products import Published
from tests.api.support import CANARY, problem_of

IDS = {
    "NUL": "%00",
    "NUL behind": f"{CANARY}%00",
    "line end": f"{CANARY}%0A",
    "carriage return": f"{CANARY}%0D%0Aset-cookie:%20a",
    "escape": "%1b[31m",
    "C1": "%c2%9b",
    "not UTF-8": "%ff%fe",
    "surrogate": "%ed%a0%80",
    "space": "%20",
    "up": "..%2f..%2fetc%2fpasswd",
    "up, raw": "../../etc/passwd",
    "up, twice encoded": "%252e%252e%252fetc",
    "backslash": "..%5c..%5cetc",
    "dot": "%2e",
    "too long": "a" * 129,
    "very long": "a" * 20_000,
    "SQL": "x'%20OR%20'1'='1",
    "unknown": CANARY,
}
NOUNS = ["jobs", "corpora", "activations", "radius"]
LIMITS = ["0", "-1", "1e9", "1000000000", "201", "abc", "", "NaN", "9" * 5000, "1,2", "%00", "0x10", "[]"]
CURSORS = ["%00", f"{CANARY}%00", "..%2f..%2fx", "a%0A", "%ff", "", "a" * 129, "'", "a b"]


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("given", IDS.values(), ids=IDS)
def test_no_id_in_a_path_breaks_the_service(refusing: TestClient, noun: str, given: str):
    response = refusing.get(f"/v1/{noun}/{given}")
    problem_of(response, range(400, 423))
    assert CANARY not in response.text


@pytest.mark.parametrize("given", IDS.values(), ids=IDS)
def test_no_file_name_reaches_outside_its_set(reading: TestClient, published: Published, given: str):
    response = reading.get(f"/v1/activations/{published.activations}/files/{given}")
    problem_of(response, range(400, 423))
    assert CANARY not in response.text


@pytest.mark.parametrize("name", ["radius.db", "..%2f..%2fradius.db", "report.json", "figure.png", ".staging"])
def test_files_that_are_not_the_sets_are_not_found(reading: TestClient, published: Published, name: str):
    problem_of(reading.get(f"/v1/activations/{published.activations}/files/{name}"), range(404, 423))


@pytest.mark.parametrize("ending", ["exe", "", "PNG", "png%00", "..%2freport.json", "json", "png%0A", CANARY])
def test_figures_have_three_endings_only(reading: TestClient, published: Published, ending: str):
    response = reading.get(f"/v1/radius/{published.report}/figure.{ending}")
    problem_of(response, range(404, 423))
    assert CANARY not in response.text


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("noun", NOUNS)
def test_a_limit_out_of_range_is_refused(refusing: TestClient, noun: str, limit: str):
    problem_of(refusing.get(f"/v1/{noun}?limit={limit}"), 422, "invalid_input")


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("noun", NOUNS)
def test_a_cursor_that_is_none_is_refused(refusing: TestClient, noun: str, cursor: str):
    response = refusing.get(f"/v1/{noun}?after={cursor}")
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


@pytest.mark.parametrize("part", ["rows", "neighbors"])
@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=201", "limit=abc", "after=-2", "after=9" + "0" * 400])
def test_paging_within_a_product_is_bounded(reading: TestClient, published: Published, part: str, query: str):
    noun = f"activations/{published.activations}" if part == "rows" else f"radius/{published.report}"
    problem_of(reading.get(f"/v1/{noun}/{part}?{query}"), 422, "invalid_input")


@pytest.mark.parametrize(
    "query",
    [f"jobs?kind={CANARY}", f"jobs?state={CANARY}%00", "jobs?kind=", f"radius?activations={CANARY}%0A",
     "theory/radius?n=0&d=1", "theory/radius?n=NaN&d=1", "theory/radius?n=1e999&d=1", "theory/radius?n=2&d=0",
     "theory/radius?n=16777217&d=1", "theory/radius?n=2&d=1000000000000000001", f"theory/radius?n={'9' * 5000}&d=1",
     f"theory/radius?n={CANARY}&d=1", "theory/radius"],
)  # fmt: skip
def test_other_parameters_are_checked(refusing: TestClient, query: str):
    response = refusing.get(f"/v1/{query}")
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


@pytest.mark.parametrize("n", [1, 2, 3, 768, 2**20, 2**24])
@pytest.mark.parametrize("d", [1, 2, 80_000, 10**18])
def test_theory_answers_in_all_of_its_range(refusing: TestClient, n: int, d: int):
    body = refusing.get(f"/v1/theory/radius?n={n}&d={d}").json()
    assert body["paper_literal"]["radius"] > 0
    assert body["corrected"]["unit_partition_radius"] > 0
