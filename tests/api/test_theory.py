"""`/v1/theory`: exact fields, the numbers of the closed forms, refusals, and never a NaN or an infinity."""

# No database: closed forms.

from __future__ import annotations

import json
import math
from typing import Any, NoReturn
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.theory.loss import proposition_4_partitions
from service.theory.unit_partition import unit_partition_radius
from tests.api.support import CANARY, fields_of, problem_of
from tests.examples import examples

PARTITION = {"log_ball_integral", "log_partition", "log_lower", "log_upper"}
BALL = {"log_volume", "log_sphere_area", "log_ball_integral", "log_lower", "log_upper"}
LAWS = {"chinchilla", "chinchilla_besiroglu", "kaplan_joint", "kaplan_separate"}
SIZE = {"attention", "dense", "feed_forward", "total", "A"}
# query: fields of the answer beside the three of all, of paper_literal, of corrected
FIELDS: dict[str, tuple[set[str], set[str], set[str]]] = {
    "radius?n=1024&d=80000": ({"n", "d"}, {"radius", "nn_distance"}, {"unit_volume_radius", "unit_partition_radius"}),
    "balls?n=1024&r=7.7": (
        {"n", "r"},
        BALL,
        BALL | {"log_lemma_5", "log_jensen", "log_geometric", "unit_volume_radius"},
    ),
    "partition?n=1024&d=80000&r=10": (set(), PARTITION, PARTITION | {"log_volume"}),
    "unit-partition?n=1024&d=80000": (set(), {"radius"}, {"radius"}),
    "unit-partition?n=1024&r=7.7": (set(), {"log_patterns"}, {"log_patterns"}),
    "unit-partition?d=80000": (set(), {"dimension"}, {"dimension"}),
    "loss?log_partition=1.5": (set(), {"loss", "log_loss", "log_partition"}, {"loss"}),
    "loss?loss=2.2": (set(), {"loss", "log_loss", "log_partition"}, {"loss"}),
    "loss-readings?n=64&d=5&r=2": (
        set(),
        {"log_partition", "loss", "log_loss"},
        {"log_partition", "loss", "per_token", "proposition_4", "density"},
    ),
    "scaling-laws?N=70e9&D=1.4e12": (set(), {"chinchilla"}, LAWS),
    "transformer-size?model=gpt2-medium": (set(), SIZE, {"blocks", "total", "A"}),
    "transformer-size?model=openelm-m1": (set(), SIZE, {"blocks", "total", "A"}),
    "transformer-size?n_layers=24&d_model=1024": (set(), SIZE, {"blocks", "total", "A"}),
    "balance": (
        set(),
        {"exponent", "log_patterns_upper", "log_patterns_lower", "dimension_upper", "dimension_lower", "models"},
        {"exponent_fixed_length_and_depth", "exponent_fixed_length_depth_as_width", "log_patterns", "dimension",
         "models"},
    ),
    "figure1": (set(), {"mchn_convex", "landscapes_resemble"}, {"two_dimensions", "one_dimension"}),
    "table-1": (set(), {"rows"}, {"rows"}),
    "table-2": (set(), {"rows"}, {"rows", "exponent", "correlation"}),
    "table-3?threshold=0.04&strict=false": (
        set(),
        {"threshold", "rows", "exponent"},
        {"threshold", "strict", "rows", "exponent", "exponent_low", "exponent_high", "column_ratios"},
    ),
}  # fmt: skip
REFUSED = {
    "radius?d=5": "n",
    "radius?n=5": "d",
    "radius?n=0&d=5": "n",
    "radius?n=16777217&d=5": "n",
    "radius?n=1.5&d=5": "n",
    "radius?n=5&d=0": "d",
    "radius?n=5&d=1000000000000000001": "d",
    f"radius?n={CANARY}&d=5": "n",
    f"radius?n={'9' * 5000}&d=5": "n",
    "balls?n=5&r=0": "r",
    "balls?n=5&r=-1": "r",
    "balls?n=5&r=NaN": "r",
    "balls?n=5&r=inf": "r",
    "balls?n=5&r=1e151": "r",
    "balls?n=5&r=1e-151": "r",
    "partition?n=5&d=5": "r",
    "partition?n=5&d=5&r=1e999": "r",
    "partition?n=5&d=5&r=%00": "r",
    "unit-partition": "n",
    "unit-partition?n=5": "n",
    "unit-partition?r=5": "n",
    "unit-partition?n=5&d=5&r=5": "n",
    "unit-partition?n=3&r=9": "r",
    "unit-partition?d=2": "d",
    "loss": "log_partition",
    "loss?log_partition=1&loss=2": "log_partition",
    "loss?log_partition=NaN": "log_partition",
    "loss?log_partition=-inf": "log_partition",
    "loss?log_partition=2e300": "log_partition",
    "loss?loss=0.999": "loss",
    "loss?loss=NaN": "loss",
    "loss?loss=": "loss",
    "loss-readings?n=5&d=5&r=1&tokens=0": "tokens",
    "scaling-laws?D=5": "N",
    "scaling-laws?N=5": "D",
    "scaling-laws?N=0&D=5": "N",
    "scaling-laws?N=5&D=1e31": "D",
    "scaling-laws?N=NaN&D=5": "N",
    "transformer-size": "model",
    "transformer-size?model=": "model",
    f"transformer-size?model={CANARY}": "model",
    f"transformer-size?model={CANARY}%00": "model",
    "transformer-size?model=gpt2&n_layers=3&d_model=8": "model",
    "transformer-size?n_layers=3": "model",
    "transformer-size?n_layers=0&d_model=8": "n_layers",
    "transformer-size?n_layers=3&d_model=1e9": "d_model",
    "balance?d=2": "d",
    "table-3?threshold=0": "threshold",
    "table-3?threshold=inf": "threshold",
    "table-3?strict=perhaps": "strict",
}


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} in the JSON")


def answer_of(client: TestClient, query: str, **parameters: Any) -> dict[str, Any]:
    """The answer; fails on NaN or Infinity."""
    response = client.get(f"/v1/theory/{query}" + ("?" + urlencode(parameters) if parameters else ""))
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_constant=refuse)


@pytest.mark.parametrize("query", FIELDS)
def test_an_answer_has_exactly_its_fields(stateless: TestClient, query: str):
    answer = answer_of(stateless, query)
    own, literal, corrected = FIELDS[query]
    assert set(answer) == own | {"paper_literal", "corrected", "notes"}
    assert set(answer["paper_literal"]) == literal
    assert set(answer["corrected"]) == corrected
    assert all(isinstance(note, str) and note.endswith(".") for note in answer["notes"])
    assert answer["notes"]


@pytest.mark.parametrize("query", REFUSED)
def test_bad_input_is_refused_and_the_field_named(stateless: TestClient, query: str):
    response = stateless.get(f"/v1/theory/{query}")
    assert REFUSED[query] in fields_of(problem_of(response, 422, "invalid_input"))
    assert CANARY not in response.text


@pytest.mark.parametrize("query", ["unit-partition?n=3&r=9", "unit-partition?d=2"])
def test_what_has_no_solution_is_refused_with_its_value(stateless: TestClient, query: str):
    assert query[-1] in problem_of(stateless.get(f"/v1/theory/{query}"), 422)["detail"].split(" not ")[-1]


def test_parameters_that_are_not_known_are_refused_as_elsewhere(stateless: TestClient):
    problem_of(stateless.get("/v1/theory/radius?n=5&d=5&color=red"), 422, "invalid_input")


def test_the_numbers_are_the_closed_forms(stateless: TestClient):
    assert answer_of(stateless, "radius?n=1024&d=80000") == {
        "n": 1024,
        "d": 80_000,
        "paper_literal": {
            "radius": pytest.approx(7.743063, abs=5e-7),
            "nn_distance": pytest.approx(15.486126, abs=5e-7),
        },
        "corrected": {
            "unit_volume_radius": pytest.approx(7.773659, abs=5e-7),
            "unit_partition_radius": unit_partition_radius(1024, 80_000),
        },
        "notes": answer_of(stateless, "radius?n=1&d=1")["notes"],
    }
    size = answer_of(stateless, "transformer-size?model=gpt2-medium")
    assert size["paper_literal"]["total"] == 251_805_696
    assert size["corrected"]["total"] == 354_823_168
    assert answer_of(stateless, "loss?loss=2.2")["paper_literal"]["log_partition"] == list(
        proposition_4_partitions(2.2)
    )
    laws = answer_of(stateless, "scaling-laws?N=70e9&D=1.4e12")
    assert laws["corrected"]["kaplan_joint"] == pytest.approx(1.6930, abs=5e-5)


@pytest.mark.parametrize("log_partition", [-1e300, -800.0, -709.9])
def test_a_loss_beyond_a_double_is_given_as_its_logarithm(stateless: TestClient, log_partition: float):
    literal = answer_of(stateless, "loss", log_partition=log_partition)["paper_literal"]
    assert literal["loss"] is None
    assert literal["log_loss"] == pytest.approx(-log_partition)


dimensions = st.one_of(st.integers(1, 50), st.integers(1, 2**24), st.sampled_from([1, 2**20, 2**24]))
patterns = st.one_of(st.integers(1, 10), st.integers(1, 10**18))
radii = st.one_of(st.floats(-345, 345).map(math.exp), st.floats(1e-3, 1e4), st.sampled_from([1e-150, 1e150]))


@examples(100)
@given(n=dimensions, d=patterns, r=radii)
def test_no_ball_has_a_nan_or_an_infinity(stateless: TestClient, n: int, d: int, r: float):
    answer_of(stateless, "radius", n=n, d=d)
    answer_of(stateless, "balls", n=n, r=r)
    answer_of(stateless, "partition", n=n, d=d, r=r)
    answer_of(stateless, "unit-partition", n=n, d=d)
    answer_of(stateless, "loss-readings", n=n, d=d, r=r)
    response = stateless.get("/v1/theory/unit-partition", params={"n": n, "r": r})
    assert response.status_code == 200 or fields_of(problem_of(response, 422)) == ["r"]


@examples(50)
@given(
    log_partition=st.floats(-1e300, 1e300),
    loss=st.floats(1, 1e300),
    parameters=st.floats(1, 1e30),
    tokens=st.floats(1, 1e30),
)
def test_no_loss_has_a_nan_or_an_infinity(
    stateless: TestClient, log_partition: float, loss: float, parameters: float, tokens: float
):
    answer_of(stateless, "loss", log_partition=log_partition)
    answer_of(stateless, "loss", loss=loss)
    answer_of(stateless, "scaling-laws", N=parameters, D=tokens)


@examples(50)
@given(
    n=dimensions,
    d=st.integers(3, 10**18),
    threshold=st.floats(1e-6, 1e6),
    strict=st.booleans(),
    n_layers=st.integers(1, 10_000),
    d_model=st.integers(1, 2**24),
)
def test_no_table_has_a_nan_or_an_infinity(
    stateless: TestClient, n: int, d: int, threshold: float, strict: bool, n_layers: int, d_model: int
):
    answer_of(stateless, "balance", n=n, d=d)
    answer_of(stateless, "table-3", threshold=threshold, strict=strict)
    answer_of(stateless, "transformer-size", n_layers=n_layers, d_model=d_model)
