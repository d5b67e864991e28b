"""POST /v1/jobs of kind radius: engines, radii and another set, accepted with defaults or refused with the field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.contracts.radius import RadiusOptions
from tests.api.support import JSON, client_of, fields_of, import_array, nothing_added, problem_of, submit
from tests.databases.migrated import DATABASES, Databases


@pytest.fixture(scope="module", params=DATABASES)
def accepting(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """An application with sets to ask for."""
    folder = tmp_path_factory.mktemp("radius-requests") / "data"
    with databases.settings(request.param, folder) as settings, client_of(settings) as client:
        yield client


@pytest.fixture(scope="module")
def wide(accepting: TestClient) -> str:
    """A set of 4 dimensions."""
    return import_array(accepting, np.eye(4, dtype=np.float32), "wide")


@pytest.fixture(scope="module")
def narrow(accepting: TestClient) -> str:
    """A set of 3 dimensions."""
    return import_array(accepting, np.eye(3, dtype=np.float32), "narrow")


def refused(client: TestClient, spec: dict[str, Any], *, code: str = "invalid_input") -> list[str]:
    """The fields named by the refusal; nothing is kept."""
    with nothing_added(client, "jobs"), nothing_added(client, "radius"), nothing_added(client, "activations"):
        problem = problem_of(submit(client, "radius", spec), 422, code)
    return fields_of(problem)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no radius": ({"radii": []}, "spec.radii"),
    "a negative radius": ({"radii": [1.0, 0, -1e-300]}, "spec.radii.2"),
    "a radius beyond a double's square": ({"radii": [1e301]}, "spec.radii.0"),
    "257 radii": ({"radii": [1.0] * 257}, "spec.radii"),
    "a radius alone": ({"radii": 1.0}, "spec.radii"),
    "a radius as text": ({"radii": ["1.0"]}, "spec.radii.0"),
    "a radius that is true": ({"radii": [1.0, True]}, "spec.radii.1"),
    "a radius that is null": ({"radii": [None]}, "spec.radii.0"),
    "radii of radii": ({"radii": [[1.0]]}, "spec.radii.0"),
    "65 neighbours": ({"k": 65}, "spec.k"),
    "no neighbour": ({"k": 0}, "spec.k"),
    "an unknown engine": ({"engine": "faiss-lsh"}, "spec.engine"),
    "an engine in capitals": ({"engine": "EXACT"}, "spec.engine"),
    "no engine": ({"engine": None}, "spec.engine"),
    "an unknown exclusion": ({"exclude": "same_text"}, "spec.exclude"),
    "an unknown reference": ({"reference": "act-0"}, "spec.reference"),
    "a path as reference": ({"reference": "../act-0"}, "spec.reference"),
    "an empty reference": ({"reference": ""}, "spec.reference"),
    "references": ({"reference": ["act-0"]}, "spec.reference"),
}


@pytest.mark.parametrize(("options", "field"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_refused_with_its_field(
    accepting: TestClient, wide: str, options: dict[str, Any], field: str
):
    assert refused(accepting, {"activations": wide} | options) == [field]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity"])
def test_a_radius_that_is_no_finite_number_is_refused(accepting: TestClient, wide: str, number: str):
    """Before the spec is read: such a number, or word, makes the whole body wrong."""
    body = json.dumps({"kind": "radius", "spec": {"activations": wide, "radii": [1.0, "?"]}}).replace('"?"', number)
    with nothing_added(accepting, "jobs"):
        problem = problem_of(accepting.post("/v1/jobs", content=body, headers=JSON), 422, "invalid_input")
    assert fields_of(problem) == ["body"]
    assert number not in json.dumps(problem)


def test_a_reference_of_another_dimension_is_refused_with_both(accepting: TestClient, wide: str, narrow: str):
    with nothing_added(accepting, "jobs"):
        response = submit(accepting, "radius", {"activations": wide, "reference": narrow})
        problem = problem_of(response, 422, "invalid_input")
    assert fields_of(problem) == ["spec.reference"]
    assert "3" in problem["detail"]
    assert "4" in problem["detail"]


def test_unknown_activations_are_named_before_the_reference(accepting: TestClient, wide: str):
    assert refused(accepting, {"activations": "act-0", "reference": wide}) == ["spec.activations"]


@pytest.mark.parametrize("engine", ["faiss-flat", "faiss-ivf", "faiss-hnsw"])
def test_faiss_does_not_search_another_set_yet(accepting: TestClient, wide: str, engine: str):
    other = import_array(accepting, np.ones((2, 4), dtype=np.float32))
    spec = {"activations": wide, "reference": other, "engine": engine}
    assert refused(accepting, spec, code="not_available") == ["spec.engine"]


def test_pairs_of_two_sets_are_not_counted_yet(accepting: TestClient, wide: str):
    other = import_array(accepting, np.ones((2, 4), dtype=np.float32))
    spec = {"activations": wide, "reference": other, "radii": [1.0]}
    assert refused(accepting, spec, code="not_available") == ["spec.radii"]


def test_an_analysis_names_its_radius_and_takes_no_reference(accepting: TestClient, wide: str):
    base = {"model": "openai-community/gpt2", "corpus": "python-docs"}
    for radius, field in [({"radii": [-1]}, "spec.radius.radii.0"), ({"engine": "none"}, "spec.radius.engine")]:
        problem = problem_of(submit(accepting, "analysis", base | {"radius": radius}), 422, "invalid_input")
        assert fields_of(problem) == [field]
    problem = problem_of(submit(accepting, "analysis", base | {"radius": {"reference": wide}}), 422, "invalid_input")
    assert fields_of(problem)[0].startswith("spec.radius")


RIGHT: dict[str, dict[str, Any]] = {
    "nothing": {},
    "radii at both ends": {"radii": [0, 1e300]},
    "256 radii, unsorted and repeated": {"radii": [3.0, 1.0, 3.0, 2.0] * 64},
    "64 neighbours": {"k": 64},
    "faiss-flat": {"engine": "faiss-flat"},
    "faiss-ivf": {"engine": "faiss-ivf"},
    "faiss-hnsw and radii": {"engine": "faiss-hnsw", "radii": [0.5]},
    "no radii, no reference": {"radii": None, "reference": None},
}


@pytest.mark.parametrize("options", RIGHT.values(), ids=RIGHT)
def test_a_right_spec_is_stored_as_given_over_the_defaults(accepting: TestClient, wide: str, options: dict[str, Any]):
    response = submit(accepting, "radius", {"activations": wide} | options)
    assert response.status_code == 202, response.text
    defaults = RadiusOptions().model_dump(mode="json") | {"preset": None, "reference": None}
    assert (defaults["engine"], defaults["k"], defaults["radii"]) == ("auto", 1, None)
    stored = accepting.get(response.headers["location"]).json()["spec"]
    assert stored == defaults | {"activations": wide} | options
    assert submit(accepting, "radius", stored).json()["spec"] == stored  # and can be submitted again


@pytest.mark.parametrize("engine", ["auto", "exact"])
def test_a_reference_is_stored_and_need_not_have_as_many_rows(accepting: TestClient, wide: str, engine: str):
    other = import_array(accepting, np.ones((9, 4), dtype=np.float64), "other")
    spec = {"activations": wide, "reference": other, "engine": engine, "exclude": "same_document"}
    stored = submit(accepting, "radius", spec).json()["spec"]
    assert {name: stored[name] for name in spec} == spec
