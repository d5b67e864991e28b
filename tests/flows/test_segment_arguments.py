"""Arguments and results of segments as other versions wrote them: earlier ones get defaults, later ones are refused."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import workers.flows
from service.contracts.radius import RadiusSpec
from service.errors import InvalidInput
from workers.flows.energy.arguments import ENERGY
from workers.flows.engine.segments import SegmentKind
from workers.flows.extraction.arguments import SAMPLE, Sampled
from workers.flows.radius.arguments import PLAN, RADIUS, ReportArguments
from workers.flows.reproduction.arguments import REPORT

RADIUS_SPEC: dict[str, Any] = {"activations": "act-0", "fractions": [0.5, 1.0]}
OUTCOME = {"part": "seeds", "kind": "sweep", "preset": None, "job": "job-1", "state": "queued"}


def kinds() -> list[SegmentKind[Any, Any]]:
    """All that are declared in a folder's `arguments.py`."""
    folders = sorted(path.parent.name for path in Path(workers.flows.__path__[0]).glob("*/arguments.py"))
    declared = [vars(import_module(f"workers.flows.{folder}.arguments")).values() for folder in folders]
    return [each for values in declared for each in values if isinstance(each, SegmentKind)]


KINDS = {kind.name: kind for kind in kinds()}


def test_kinds_have_names_of_their_own():
    assert len(KINDS) == len(kinds()) > 10
    assert KINDS["radius"] is RADIUS


def test_arguments_come_through_the_queue_unchanged():
    spec = RadiusSpec.model_validate(RADIUS_SPEC)
    whole = ReportArguments(spec=spec, report="radius-1", sets_total=True, null="0" * 64)
    assert RADIUS.read_arguments(json.loads(json.dumps(whole.model_dump(mode="json")))) == whole


@pytest.mark.parametrize(
    ("kind", "body", "defaults"),
    [
        (PLAN, {"spec": RADIUS_SPEC, "report": "radius-1"}, {"sets_total": False}),
        (RADIUS, {"spec": RADIUS_SPEC, "report": "radius-1"}, {"sets_total": False, "parts": None, "null": None}),
        (ENERGY, {"spec": {"builtin": "figure1"}, "report": "energy-1"}, {"sets_total": False}),
    ],
    ids=lambda given: given.name if isinstance(given, SegmentKind) else "",
)
def test_arguments_of_the_version_before_get_defaults(
    kind: SegmentKind[Any, Any], body: dict[str, Any], defaults: dict[str, Any]
):
    found = kind.read_arguments(body)
    assert {name: getattr(found, name) for name in defaults} == defaults
    spec = type(found.spec)
    assert found.spec == spec(**body["spec"])  # and so do those of the spec within
    assert found.spec.seed == spec.model_fields["seed"].default


def test_the_result_of_a_sample_of_the_version_before_gets_defaults():
    body = {"chunks": 5, "rows": 80, "shards": 2, "reused": None}
    expected = Sampled(**body, sites=None, documents=None, chunks_there=None, special_tokens=0)
    assert SAMPLE.read_result(body) == expected


def test_outcomes_within_arguments_get_defaults_too():
    body = {"spec": {}, "report": "reproduction-1", "model": "tiny", "view": 0, "complete": False}
    body |= {"outcomes": [OUTCOME], "held_out": [], "warnings": [], "settled": 0}
    (outcome,) = REPORT.read_arguments(body).outcomes
    assert (outcome.reused, outcome.error, outcome.results) == (False, None, [])


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_field_of_a_newer_version_is_named(kind: SegmentKind[Any, Any]):
    for read, prefix in ((kind.read_arguments, "segment"), (kind.read_result, "result of")):
        with pytest.raises(InvalidInput) as refused:
            read({"of_tomorrow": 1})
        assert f"{prefix} {kind.name}: of_tomorrow: is not a field of this version" in refused.value.detail


def test_a_newer_field_of_the_spec_within_is_named():
    body = {"spec": RADIUS_SPEC | {"of_tomorrow": 1}, "report": "radius-1"}
    with pytest.raises(InvalidInput, match=r"^segment radius: spec\.of_tomorrow: is not a field of this version$"):
        RADIUS.read_arguments(body)


def test_a_field_that_has_no_default_is_named():
    with pytest.raises(InvalidInput, match=r"^segment radius: report: Field required$"):
        RADIUS.read_arguments({"spec": RADIUS_SPEC})
