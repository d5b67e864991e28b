"""…/histogram, …/quantiles and …/neighbors of a report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.api.products import ROWS, Published, nearest_distances
from tests.api.support import CANARY, problem_of


def get(client: TestClient, published: Published, part: str, **query: Any) -> dict[str, Any]:
    response = client.get(f"/v1/radius/{published.report}/{part}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def walk(client: TestClient, published: Published, **query: Any) -> list[dict[str, Any]]:
    """All pairs, page by page."""
    body = get(client, published, "neighbors", **query)
    pairs = body["data"]
    while body["next"] is not None:
        body = get(client, published, "neighbors", after=body["next"], **query)
        assert body["data"], "a cursor leads to another page"
        pairs += body["data"]
    return pairs


@pytest.mark.parametrize("bins", [1, 2, 60, 10_000])
def test_a_histogram_has_the_bins_asked_for(reading: TestClient, published: Published, bins: int):
    parts = get(reading, published, "histogram", bins=bins)["fractions"]
    assert [(part["fraction"], part["n"]) for part in parts] == [(0.25, 10), (0.5, 20), (0.75, 30), (1.0, 40)]
    for part in parts:
        assert len(part["histogram"]["counts"]) == bins
        assert part["histogram"]["edges"] == parts[0]["histogram"]["edges"]
        assert sum(part["histogram"]["counts"]) == part["n"]


def test_the_histogram_is_that_of_the_distances(reading: TestClient, published: Published):
    whole = get(reading, published, "histogram", bins=7)["fractions"][-1]["histogram"]
    counts, _ = np.histogram(nearest_distances(published.vectors), np.array(whole["edges"]))
    assert whole["counts"] == counts.tolist()


@pytest.mark.parametrize("bins", ["0", "-1", "10001", "1.5", "abc", "", "NaN", "1e3", "9" * 400, CANARY])
def test_a_wrong_number_of_bins_is_refused(reading: TestClient, published: Published, bins: str):
    response = reading.get(f"/v1/radius/{published.report}/histogram", params={"bins": bins})
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


def test_quantiles_are_interpolated_linearly(reading: TestClient, published: Published):
    wanted = [0, 0.1, 1 / 3, 0.5, 0.999, 1]
    parts = get(reading, published, "quantiles", q=",".join(map(repr, wanted)))["fractions"]
    assert [(part["fraction"], part["n"]) for part in parts] == [(0.25, 10), (0.5, 20), (0.75, 30), (1.0, 40)]
    found = list(parts[-1]["quantiles"].values())
    assert found == pytest.approx(np.quantile(nearest_distances(published.vectors), wanted), rel=1e-9)


def test_quantiles_have_a_default(reading: TestClient, published: Published):
    for part in get(reading, published, "quantiles")["fractions"]:
        assert list(part["quantiles"]) == ["0.05", "0.5", "0.95"]


def test_no_quantile_is_lost_when_two_are_close(reading: TestClient, published: Published):
    parts = get(reading, published, "quantiles", q="0.1234567,0.1234568")["fractions"]
    assert list(parts[0]["quantiles"]) == ["0.1234567", "0.1234568"]


@pytest.mark.parametrize(
    "q",
    ["", ",", "0.5,", "0.5,,0.6", "-0.1", "1.1", "nan", "inf", "-inf", "1e999", "abc", CANARY, "0.5;0.6", "50%",
     "0.5 0.6", "0x1", "1" * 3000, ",".join(["0.5"] * 101), "None", "[0.5]", "0.5\x00"],
    ids=lambda q: repr(q)[:16],
)  # fmt: skip
def test_wrong_quantiles_are_refused(reading: TestClient, published: Published, q: str):
    response = reading.get(f"/v1/radius/{published.report}/quantiles", params={"q": q})
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


@pytest.mark.parametrize("order", ["closest", "farthest"])
def test_pairs_come_in_order_with_texts(reading: TestClient, published: Published, order: str):
    pairs = get(reading, published, "neighbors", order=order, limit=200)["data"]
    distances = [pair["distance"] for pair in pairs]
    assert distances == sorted(distances, reverse=order == "farthest")
    vectors = published.vectors.astype(np.float64)
    for pair in pairs:
        assert set(pair) == {"distance", "radius", "a", "b"}
        a, b = pair["a"], pair["b"]
        assert pair["radius"] == pair["distance"] / 2
        assert pair["distance"] == pytest.approx(np.linalg.norm(vectors[a["row"]] - vectors[b["row"]]), rel=1e-9)
        for row in (a, b):
            assert set(row) == {"row", "id", "label", "document", "offset", "text"}
            assert row["text"] == f"text {row['row']}"
            assert (row["document"], row["offset"]) == (f"doc {row['row']}", 10 * row["row"])


def test_the_closest_pair_is_the_duplicate(reading: TestClient, published: Published):
    [pair] = get(reading, published, "neighbors", limit=1)["data"]
    assert (pair["distance"], {pair["a"]["row"], pair["b"]["row"]}) == (0.0, {7, 31})


def test_every_row_has_its_nearest_and_a_mutual_pair_is_listed_once(reading: TestClient, published: Published):
    pairs = get(reading, published, "neighbors", limit=200)["data"]
    found = [frozenset((pair["a"]["row"], pair["b"]["row"])) for pair in pairs]
    assert len(found) == len(set(found))
    assert all(len(pair) == 2 for pair in found)
    distances = nearest_distances(published.vectors)
    for row in range(ROWS):
        own = [pair["distance"] for pair in pairs if row in (pair["a"]["row"], pair["b"]["row"])]
        assert min(own) == pytest.approx(distances[row], rel=1e-9)
    assert found.count(frozenset((2, 3))) == 1


@pytest.mark.parametrize("order", ["closest", "farthest"])
@pytest.mark.parametrize("limit", [1, 3, 7, 200])
def test_pages_of_pairs_follow_one_another(reading: TestClient, published: Published, order: str, limit: int):
    whole = get(reading, published, "neighbors", order=order, limit=200)["data"]
    assert walk(reading, published, order=order, limit=limit) == whole


def test_farthest_is_closest_from_behind(reading: TestClient, published: Published):
    closest = get(reading, published, "neighbors", limit=200)["data"]
    farthest = get(reading, published, "neighbors", order="farthest", limit=200)["data"]
    assert [pair["distance"] for pair in farthest] == [pair["distance"] for pair in closest[::-1]]


def test_a_cursor_behind_the_last_pair_is_an_empty_page(reading: TestClient, published: Published):
    assert get(reading, published, "neighbors", after=1000) == {"data": [], "next": None}
    assert get(reading, published, "neighbors", after=2**53) == {"data": [], "next": None}


def test_another_order_is_refused(reading: TestClient, published: Published):
    response = reading.get(f"/v1/radius/{published.report}/neighbors", params={"order": CANARY})
    problem_of(response, 422, "invalid_input")
    assert CANARY not in response.text


@pytest.mark.parametrize("part", ["", "/histogram", "/quantiles", "/neighbors", "/figure.png"])
def test_unknown_reports_are_not_found(reading: TestClient, published: Published, part: str):
    problem_of(reading.get(f"/v1/radius/radius-0{part}"), 404, "not_found")
    problem_of(reading.get(f"/v1/radius/{published.activations}{part}"), 404, "not_found")
