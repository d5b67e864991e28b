"""`POST /v1/energy/evaluate`: small, exact, and firm about what it takes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.theory import energy
from tests.theory import exact_energy

ROUTE = "/v1/energy/evaluate"


def evaluate(client: TestClient, patterns: object, queries: object, **more: object):
    return client.post(ROUTE, json={"patterns": patterns, "queries": queries} | more)


def test_energies_of_the_papers_patterns(stateless: TestClient):
    patterns, queries = [[-2.0], [0.0], [1.0]], [[0.5], [-2.0]]
    answer = evaluate(stateless, patterns, queries, beta=2.0).json()
    rows, points = np.array(patterns), np.array(queries)
    for at, found in enumerate(answer["results"]):
        point = points[at : at + 1]
        assert found["g"] == energy.nearest(rows, point)[0][0]
        assert found["energy"] == pytest.approx(energy.energy(rows, point, 2.0)[0], rel=1e-14)
        assert found["energy_mchn"] == pytest.approx(energy.energy_mchn(rows, point, 2.0)[0], rel=1e-14)
        assert 0 <= found["weights_entropy"] <= math.log(3)
    assert [found["nearest"] for found in answer["results"]] == [1, 0]
    assert answer["results"][1]["g"] == 0  # a query that is a pattern is not left out
    assert answer["beta"] == 2.0


def test_the_printed_proposition_3_fails_on_the_counterexample(stateless: TestClient):
    bounds = evaluate(stateless, [[-1.0], [1.0]], [[1.0]]).json()["bounds"]
    assert bounds["measured"]["g_minus_twice_mchn"][0] == pytest.approx(-0.674997, abs=5e-7)
    assert (bounds["spread"], bounds["patterns"]) == (0.0, 2)
    assert bounds["paper_literal"]["proposition_3"] == {"lower": 0.0, "upper": math.log(2), "failed_share": 1.0}
    assert bounds["corrected"]["proposition_3"]["failed_share"] == 0
    assert bounds["corrected"]["proposition_3"]["lower"] == -math.log(2)
    assert any(note.startswith("Prop. 3") for note in bounds["notes"])


def test_large_and_small_numbers_stay_json(stateless: TestClient):
    answer = evaluate(stateless, [[1e100, 0.0], [0.0, 1e-100]], [[0.0, 0.0], [1e100, 1.0]])
    assert answer.status_code == 200
    json.dumps(answer.json(), allow_nan=False)
    assert answer.json()["results"][0]["g"] == pytest.approx(1e-200, rel=1e-15)


def test_a_squared_distance_that_underflows_is_refused(stateless: TestClient):
    answer = evaluate(stateless, [[1e100, 0.0], [0.0, 1e-200]], [[1.0, 1.0], [0.0, 0.0]])
    assert answer.status_code == 422
    said = "query 1 is 1e-200 from pattern 1: the squared distance underflows a double; scale the vectors up"
    assert (answer.json()["detail"], answer.json()["errors"][0]["field"]) == (said, "queries")
    same = evaluate(stateless, [[1e-170], [0.0]], [[0.0]]).json()["results"][0]
    assert (same["g"], same["nearest"]) == (0.0, 1)  # the square of the other underflows to 0 too


def test_the_entropy_of_weights_far_from_close_patterns(stateless: TestClient):
    """Squared distances of 1e18 are multiples of 128, and differ by 200."""
    rows, query = np.array([[-1.0], [1.0], [1.0000001]]), np.array([1e9])
    (found,) = evaluate(stateless, rows.tolist(), [query.tolist()], beta=1e-3).json()["results"]
    true = float(exact_energy.entropy(exact_energy.weights(rows, query, 1e-3, "energy")))
    assert true == pytest.approx(0.688172069923216, rel=1e-12)
    assert abs(found["weights_entropy"] - true) <= found["weights_entropy_rounding"] < 1e-12


def test_an_entropy_that_no_double_decides_says_so(stateless: TestClient):
    """The two differences cancel 1e60, so that which pattern is nearer depends on digits that are lost."""
    rows, query = [[0.1, 0.3], [0.3, 0.1]], [1e60, 1e60]
    (found,) = evaluate(stateless, rows, [query]).json()["results"]
    assert found["weights_entropy_rounding"] == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"patterns": [], "queries": [[1.0]]}, "patterns"),
        ({"patterns": [[]], "queries": [[1.0]]}, "patterns"),
        ({"patterns": [[1.0], [1.0, 2.0]], "queries": [[1.0]]}, "patterns"),
        ({"patterns": [[1.0]], "queries": [[1.0, 2.0]]}, "queries"),
        ({"patterns": [["1"]], "queries": [[1.0]]}, "patterns"),
        ({"patterns": [[1e200]], "queries": [[1.0]]}, "patterns"),
        ({"patterns": [[1.0]], "queries": [[1.0]], "beta": 0}, "beta"),
        ({"patterns": [[1.0]], "queries": [[1.0]], "beta": "1"}, "beta"),
        ({"patterns": [[1.0]]}, "queries"),
    ],
)
def test_what_is_wrong_is_named(stateless: TestClient, body: dict, field: str):
    answer = stateless.post(ROUTE, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].split(".")[0] == field


def test_not_a_number_is_refused(stateless: TestClient):
    headers = {"content-type": "application/json"}
    for number in ("NaN", "Infinity", "1e999"):
        body = f'{{"patterns": [[{number}]], "queries": [[1]]}}'
        assert stateless.post(ROUTE, content=body, headers=headers).status_code == 422


def test_limits_are_settings(settings: Settings):
    small = settings.model_copy(update={"max_evaluate_numbers": 100, "max_evaluate_products": 1000})
    with TestClient(create_app(small), base_url="http://127.0.0.1") as api:
        assert evaluate(api, [[1.0]] * 99, [[1.0]] * 2).json()["code"] == "too_large"
        refused = evaluate(api, [[1.0]] * 49, [[1.0]] * 49)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (413, "queries")
        assert evaluate(api, [[1.0]] * 30, [[1.0]] * 30).status_code == 200
        assert api.get("/v1/limits").json()["max_evaluate_numbers"] == 100


def test_a_query_without_a_worker_is_503(api: TestClient, settings: Settings):
    from tests.api.products import publish_report

    made = publish_report(settings)
    refused = api.post(f"/v1/activations/{made.activations}/query", json={"vectors": [[1.0, 2.0, 3.0]]})
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert refused.headers["Retry-After"]
    assert api.post("/v1/activations/act-none/query", json={"vectors": [[1.0]]}).status_code == 404
    for body, field in (
        ({"vectors": [[1.0]]}, "vectors"),
        ({"texts": []}, "texts"),
        ({"vectors": [[1.0, 2.0, 3.0]], "k": 65}, "k"),
        ({"texts": ["a"], "vectors": [[1.0, 2.0, 3.0]]}, "body"),
        ({}, "body"),
    ):
        answer = api.post(f"/v1/activations/{made.activations}/query", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["field"].split(".")[0] == field


def test_a_query_of_too_long_texts_is_refused_before_a_worker_sees_it(settings: Settings):
    from tests.api.products import publish_report

    made = publish_report(settings)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as api:
        route = f"/v1/activations/{made.activations}/query"
        for texts in (["a" * 100_001], ["short", "é" * 100_001]):
            answer = api.post(route, json={"texts": texts})
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
            assert answer.json()["errors"][0]["field"] == "texts"
        assert api.post(route, json={"texts": ["a" * 100_000]}).status_code == 503  # it would be asked
        assert api.post(route, json={"texts": ["a"] * 257}).status_code == 413
        assert api.post(route, json={"vectors": [[1.0] * 25_000]}).status_code == 413
