"""A segment's worker: who owns it when a frozen one has woken up, and what a failed one leaves in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dbos import PortableWorkflowError

from service.catalog import jobs
from service.catalog import segments as catalog_of_segments
from service.catalog.engine import Catalog
from service.errors import InvalidInput
from service.settings import Settings
from tests.api.products import insert_job
from workers.flows.engine import execution, runtime
from workers.flows.engine import segments as registry
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime

NAME, KIND = "part-00", "search"
Work = Callable[[dict[str, Any], SegmentOwner], dict[str, Any]]


@pytest.fixture
def job_id(settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(runtime, "_current", Runtime(settings, catalog, "compute-b"))
    made = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, made)
    return made


def run(job_id: str, work: Work, monkeypatch: pytest.MonkeyPatch, *, ours: bool = True) -> dict[str, Any]:
    """Run `work` as a segment that the engine has given to this worker, or to another one since."""
    monkeypatch.setitem(registry._owned, KIND, work)
    monkeypatch.setattr(execution, "_is_assigned_here", lambda _: ours)
    return execution._run(job_id, NAME, KIND, {})


def claim_as(worker: str, catalog: Catalog, job_id: str) -> int:
    with catalog.begin() as connection:
        return catalog_of_segments.claim(connection, job_id=job_id, name=NAME, stage=KIND, worker=worker)


def test_the_owner_claims_again_what_a_late_sleeper_took(
    job_id: str, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []

    def work(_: dict[str, Any], owner: SegmentOwner) -> dict[str, Any]:
        seen.append(owner.attempt)
        if len(seen) == 1:
            claim_as("compute-a", catalog, job_id)  # dequeued long ago, frozen before its claim, awake now
        owner.progress(1, final=True)
        return {"done": True}

    assert run(job_id, work, monkeypatch) == {"done": True}
    assert seen == [1, 3]


def test_a_late_sleeper_claims_nothing(job_id: str, catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    attempt = claim_as("compute-a", catalog, job_id)
    with pytest.raises(PortableWorkflowError) as refused:
        run(job_id, lambda *_: {}, monkeypatch, ours=False)
    assert refused.value.name == "superseded"
    with catalog.begin() as connection:
        catalog_of_segments.check(connection, job_id, NAME, attempt)  # the other one's still


def test_what_a_failed_segment_held_is_gone_when_its_failure_is_told(job_id: str, monkeypatch: pytest.MonkeyPatch):
    held: list[weakref.ref[np.ndarray]] = []

    def work(*_: object) -> dict[str, Any]:
        rows = np.zeros(1000)
        held.append(weakref.ref(rows))
        raise InvalidInput("rows are bad")

    with pytest.raises(PortableWorkflowError, match="rows are bad") as failed:
        run(job_id, work, monkeypatch)
    assert held[0]() is None
    assert failed.value.__cause__ is failed.value.__context__ is None


@pytest.mark.parametrize(
    ("status", "executor", "ours"),
    [("PENDING", "compute-b", True), ("PENDING", "compute-a", False), ("CANCELLED", "compute-b", False)],
)
def test_a_segment_that_was_called_off_belongs_to_nobody(
    job_id: str, monkeypatch: pytest.MonkeyPatch, status: str, executor: str, ours: bool
):
    """The engine keeps the name of the last worker in the row of a cancelled workflow."""

    class Engine:
        workflow_id = f"{job_id}.{NAME}"

        @staticmethod
        def get_workflow_status(workflow_id: str) -> SimpleNamespace:
            return SimpleNamespace(status=status, executor_id=executor)

    monkeypatch.setattr(execution, "DBOS", Engine)
    assert execution._is_assigned_here(runtime.runtime()) is ours
