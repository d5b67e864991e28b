"""GET /v1/activations and …/{id} and …/rows: summaries, manifest, statistics, rows with text, pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.api.products import CHUNK_TOKENS, D_MODEL, ROWS, Published
from tests.api.support import import_array, problem_of

SUMMARY = {"id", "name", "job", "site", "n", "d_model", "dtype", "sha256", "created_at"}
ROW = {"row", "id", "label", "document", "offset", "position", "token_id", "text", "loss", "vector"}


def rows_of(client: TestClient, set_id: str, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
    body = client.get(f"/v1/activations/{set_id}/rows", params=query).json()
    assert set(body) == {"data", "next"}
    return body["data"], body["next"]


def test_a_set_shows_its_manifest_and_statistics(reading: TestClient, published: Published):
    body = reading.get(f"/v1/activations/{published.activations}").json()
    assert set(body) == {*SUMMARY, "statistics", "manifest"}
    assert (body["n"], body["d_model"], body["dtype"]) == (ROWS, D_MODEL, "float32")
    assert (body["job"], body["site"]) == (published.job, "final_norm_out")
    assert body["manifest"]["id"] == published.activations
    assert body["manifest"]["statistics"] == body["statistics"]
    for entry in body["manifest"]["files"]:
        assert set(entry) == {"name", "bytes", "sha256"}


def test_the_statistics_are_of_all_rows(reading: TestClient, published: Published):
    statistics = reading.get(f"/v1/activations/{published.activations}").json()["statistics"]
    wide = published.vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1)
    found = [statistics["norm_mean"], statistics["norm_min"], statistics["norm_max"]]
    assert found == pytest.approx([norms.mean(), norms.min(), norms.max()], rel=1e-12)
    assert statistics["top5_dimensions"] == np.argsort((wide**2).sum(axis=0))[::-1].tolist()
    assert (statistics["top5_share"], statistics["zero_rows"]) == (pytest.approx(1.0), 0)


def test_an_import_says_which_file_it_came_from(api: TestClient):
    manifest = api.get(f"/v1/activations/{import_array(api, np.eye(3))}").json()["manifest"]
    assert set(manifest["source"]) == {"sha256", "bytes"}
    assert "numpy" in manifest["provenance"]["versions"]


def test_sets_are_listed_newest_first_in_pages(api: TestClient):
    ids = [import_array(api, np.eye(2), name=f"set {number}") for number in range(3)]
    first = api.get("/v1/activations", params={"limit": 2}).json()
    second = api.get("/v1/activations", params={"limit": 2, "after": first["next"]}).json()
    assert [row["id"] for row in first["data"] + second["data"]] == ids[::-1]
    assert second["next"] is None
    assert all(set(row) == SUMMARY for row in first["data"])


def test_rows_have_their_document_offset_token_and_text(reading: TestClient, published: Published):
    rows, following = rows_of(reading, published.activations, limit=200)
    assert following is None
    assert all(set(row) == ROW for row in rows)
    assert [row["row"] for row in rows] == list(range(ROWS))
    assert [row["text"] for row in rows] == [f"text {number}" for number in range(ROWS)]
    assert [row["document"] for row in rows] == [f"doc {number}" for number in range(ROWS)]
    assert [row["offset"] for row in rows] == [10 * number for number in range(ROWS)]
    assert {row["position"] for row in rows} == {CHUNK_TOKENS - 1}
    last_tokens = [CHUNK_TOKENS * (number % (ROWS // 2)) + CHUNK_TOKENS - 1 for number in range(ROWS)]
    assert [row["token_id"] for row in rows] == last_tokens
    assert {row["vector"] for row in rows} == {None}


def test_vectors_come_where_they_are_asked_for(reading: TestClient, published: Published):
    rows, _ = rows_of(reading, published.activations, limit=200, vectors=True)
    assert np.array_equal(np.array([row["vector"] for row in rows]), published.vectors.astype(np.float64))


def test_imported_rows_have_no_text(api: TestClient):
    rows, _ = rows_of(api, import_array(api, np.eye(2)))
    unknown = dict.fromkeys(ROW - {"row"})
    assert rows == [{"row": 0} | unknown, {"row": 1} | unknown]


@pytest.mark.parametrize("limit", [1, 7, 20, 39, 40, 41, 200])
def test_pages_of_rows_follow_one_another(reading: TestClient, published: Published, limit: int):
    rows, following = rows_of(reading, published.activations, limit=limit)
    while following is not None:
        more, following = rows_of(reading, published.activations, limit=limit, after=following)
        assert more, "a cursor leads to another page"
        rows += more
    assert [row["row"] for row in rows] == list(range(ROWS))


def test_a_page_across_two_shards_is_right(reading: TestClient, published: Published):
    rows, _ = rows_of(reading, published.activations, after=17, limit=4, vectors=True)
    assert [row["row"] for row in rows] == [18, 19, 20, 21]
    assert [row["text"] for row in rows] == ["text 18", "text 19", "text 20", "text 21"]
    assert np.array_equal([row["vector"] for row in rows], published.vectors[18:22].astype(np.float64))


@pytest.mark.parametrize("after", [39, 40, 2**31, 2**53])
def test_a_cursor_behind_the_last_row_is_an_empty_page(reading: TestClient, published: Published, after: int):
    assert rows_of(reading, published.activations, after=after) == ([], None)


def test_unknown_sets_are_not_found(reading: TestClient):
    problem_of(reading.get("/v1/activations/act-0"), 404, "not_found")
    problem_of(reading.get("/v1/activations/act-0/rows"), 404, "not_found")
    problem_of(reading.get("/v1/activations/act-0/files/manifest.json"), 404, "not_found")


def test_a_report_or_a_job_is_no_set(reading: TestClient, published: Published):
    problem_of(reading.get(f"/v1/activations/{published.report}"), 404, "not_found")
    problem_of(reading.get(f"/v1/activations/{published.job}"), 404, "not_found")
