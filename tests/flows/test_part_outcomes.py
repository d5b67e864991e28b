"""What the job engine records of a reproduction's parts: its form, and how a record of the version before is read."""

from __future__ import annotations

from typing import Any

import pytest

from service.contracts.jobs import JobResult
from service.errors import InvalidInput, NotFound
from service.reproduction.required_jobs import PartJob
from workers.flows.reproduction import children
from workers.flows.reproduction.arguments import PartOutcome, Submitted

WANTED = PartJob("seeds", "sweep", {"preset": "smoke/sweep"})
ERROR = {"code": "not_found", "detail": "no such corpus", "field": "spec.corpus"}
RESULT: dict[str, Any] = {"type": "sweep", "site": None, "id": "sweep-1", "href": "/v1/sweeps/sweep-1"}
QUEUED = PartOutcome(part="seeds", kind="sweep", preset="smoke/sweep", job="job-1", state="queued")


@pytest.mark.parametrize(
    ("recorded", "outcome"),
    [
        ({"job": "job-1", "state": "queued"}, QUEUED),
        ({"job": "job-1", "state": "queued", "reused": True}, QUEUED.model_copy(update={"reused": True})),
        (
            {"job": None, "state": "refused", "error": ERROR},
            QUEUED.model_copy(update={"job": None, "state": "refused", "error": ERROR}),
        ),
    ],
)
def test_a_request_is_recorded_in_the_same_form_and_read(
    recorded: dict[str, Any], outcome: PartOutcome, monkeypatch: pytest.MonkeyPatch
):
    assert Submitted.model_validate(recorded).model_dump(mode="json", exclude_unset=True) == recorded
    monkeypatch.setattr(children, "_submit", lambda *_: recorded)
    assert children.submit("job-0", 0, 1, WANTED) == outcome


def test_a_refused_request_is_recorded(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> Submitted:
        raise NotFound("no such corpus", field="spec.corpus")

    monkeypatch.setattr(children, "_started", refuse)
    assert children._submit("job-0", 0, 1, WANTED) == {"job": None, "state": "refused", "error": ERROR}


def test_an_end_is_read(monkeypatch: pytest.MonkeyPatch):
    ended = {"state": "succeeded", "error": None, "results": [RESULT]}
    monkeypatch.setattr(children, "_await", lambda *_: ended)
    found = children.await_end("job-0", QUEUED)
    assert found == QUEUED.model_copy(update={"state": "succeeded", "results": [JobResult(**RESULT)]})
    assert isinstance(found.results[0], JobResult)


def test_a_record_of_a_newer_version_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "_submit", lambda *_: {"job": "job-1"})
    with pytest.raises(InvalidInput, match="a part's request: state"):
        children.submit("job-0", 0, 1, WANTED)
