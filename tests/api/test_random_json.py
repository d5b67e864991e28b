"""Random JSON, wholly random and close to a real job, never breaks POST /v1/jobs."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import AnalysisSpec, JobRequest
from service.contracts.radius import RadiusOptions, RadiusSpec
from tests.api.support import EXTRACTION, JSON, problem_of
from tests.examples import examples

_CHARACTERS = st.characters() | st.sampled_from("\ud800\udfff\x00\n\x7f\x9b")  # JSON may escape all of these
_TEXT = st.text(_CHARACTERS, max_size=20)
_NUMBERS = st.integers() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False, allow_infinity=False)
_LEAVES = st.none() | st.booleans() | _NUMBERS | _TEXT
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=12
)
_KINDS = st.sampled_from(["extraction", "radius", "analysis"])
_FIELDS = sorted({*ExtractionSpec.model_fields, *AnalysisSpec.model_fields, *RadiusSpec.model_fields})
_KNOWN = st.sampled_from(
    ["small/f1", "python-docs", "gpt2", "all", "last", "final_norm_out", ["final_norm_out"], 1, 0.5]
)
_OPTIONS = st.dictionaries(st.sampled_from(sorted(RadiusOptions.model_fields)), _TREES | _KNOWN, max_size=4)
_SPECS = st.dictionaries(st.sampled_from(_FIELDS), _TREES | _KNOWN | _OPTIONS, max_size=8)


def answer(client: TestClient, body: object) -> None:
    """A 202 that is then there, or a problem of the 400s."""
    content = json.dumps(body, ensure_ascii=True, allow_nan=False)
    response = client.post("/v1/jobs", content=content.encode(), headers=JSON)
    if response.status_code == 202:
        assert client.get(response.headers["location"]).json()["id"] == response.json()["id"]
    else:
        problem_of(response, range(400, 500))


@examples(60)
@given(body=_TREES)
def test_any_json_is_answered(refusing: TestClient, body: object):
    answer(refusing, body)


@examples(60)
@given(body=st.dictionaries(st.sampled_from(sorted(JobRequest.model_fields)), _TREES | _KINDS))
def test_any_values_in_the_fields_of_a_request_are_answered(refusing: TestClient, body: object):
    answer(refusing, body)


@examples(60)
@given(kind=_KINDS, spec=_SPECS, base=st.sampled_from([{}, EXTRACTION, {"preset": "small/f1"}]))
def test_any_values_in_the_fields_of_a_spec_are_answered(refusing: TestClient, kind: str, spec: dict, base: dict):
    answer(refusing, {"kind": kind, "spec": base | spec})


@examples(60)
@given(labels=_TREES | st.dictionaries(_TEXT, _TEXT, max_size=40), priority=_LEAVES)
def test_any_labels_are_answered(refusing: TestClient, labels: object, priority: object):
    answer(refusing, {"kind": "extraction", "spec": EXTRACTION, "labels": labels, "priority": priority})
