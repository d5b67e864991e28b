"""A job through any sequence of calls, against a model of a few lines, on both databases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.catalog import jobs, segments
from service.catalog.engine import Catalog
from service.contracts.jobs import FINAL_STATES
from service.errors import Cancelled, Conflict, NotFound, PoisonSegment, Superseded
from service.ids import new_id
from tests.databases.soak import SOAK

EXAMPLES, STEPS = (300, 50) if SOAK else (8, 30)
NAMES = st.sampled_from(["a", "b"])
WORKERS = st.sampled_from(["compute-1", "compute-2"])


@dataclass
class Segment:
    attempt: int = 0
    done: int = 0
    done_before: int = 0
    running: bool = False
    deaths: int = 0


@dataclass
class Model:
    """What a job should be; `state` None once it is deleted."""

    state: str | None = "queued"
    retries: int = 0
    segments: dict[str, Segment] = field(default_factory=dict)
    events: list[str] = field(default_factory=lambda: ["queued"])

    def enter(self, state: str, *before: str) -> bool:
        """Go from one of the states `before` to another; False in any other state."""
        if self.state not in before:
            return False
        self.state = state
        self.events.append(state)
        return True

    def refusal(self, name: str, attempt: int) -> type[Exception] | None:
        """What a write of the owner with that attempt raises."""
        if self.state != "running":
            return Cancelled
        return None if self.segments[name].attempt == attempt else Superseded


class JobMachine(RuleBasedStateMachine):
    """Calls of the API, of workers that may be late, and of the control worker, in any order."""

    catalog: Catalog

    @initialize()
    def submit(self) -> None:
        self.job_id, self.model = new_id("job"), Model()
        self.owners: list[tuple[str, int]] = []  # (segment, attempt) of each owner there ever was
        row: dict[str, Any] = {"id": self.job_id, "kind": "radius", "spec": {}, "priority": 50, "labels": {}}
        with self.catalog.begin() as connection:
            jobs.insert(connection, row)

    @rule()
    def start(self) -> None:
        self.model.enter("running", "queued")
        with self.catalog.begin() as connection:
            jobs.start(connection, self.job_id)

    @rule(name=NAMES, worker=WORKERS)
    def claim(self, name: str, worker: str) -> None:
        """A worker takes a segment; the owner before has died if it still runs it."""
        call = {"job_id": self.job_id, "name": name, "stage": name, "worker": worker}
        if self.model.state == "queued":
            self.start()
        if self.model.state != "running":
            with pytest.raises(Cancelled), self.catalog.begin() as connection:
                segments.claim(connection, **call)
            return
        known = self.model.segments.setdefault(name, Segment())
        if known.running:
            known.deaths = 1 if known.done > known.done_before else known.deaths + 1
        else:
            known.deaths = 0
        known.attempt, known.done_before, known.running = known.attempt + 1, known.done, known.deaths < 3
        if not known.running:
            with pytest.raises(PoisonSegment), self.catalog.begin() as connection:
                segments.claim(connection, **call)
            return
        with self.catalog.begin() as connection:
            assert segments.claim(connection, **call) == known.attempt
        self.owners.append((name, known.attempt))

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), done=st.integers(0, 9))
    def tick(self, data: st.DataObject, done: int) -> None:
        """An owner, the newest or one that was replaced, writes its progress."""
        name, attempt = data.draw(st.sampled_from(self.owners))
        refusal = self.model.refusal(name, attempt)
        if refusal is not None:
            with pytest.raises(refusal), self.catalog.begin() as connection:
                segments.tick(connection, self.job_id, name, attempt, done=done)
            return
        known = self.model.segments[name]
        known.done = max(known.done, done)
        with self.catalog.begin() as connection:
            segments.tick(connection, self.job_id, name, attempt, done=done)

    @precondition(lambda self: self.owners)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name, attempt = data.draw(st.sampled_from(self.owners))
        known = self.model.segments.get(name)
        if known is not None and known.attempt == attempt:
            known.running = False
        with self.catalog.begin() as connection:
            segments.release(connection, job_id=self.job_id, name=name, attempt=attempt)

    @rule()
    def drain(self) -> None:
        """A worker is stopped: its segments are not deaths."""
        with self.catalog.begin() as connection:
            for worker in segments.running(connection, self.job_id):
                segments.release_all(connection, worker)
        for known in self.model.segments.values():
            known.running = False

    @precondition(lambda self: len(self.owners) % 3 == 2)  # else most jobs end before anything has happened
    @rule(state=st.sampled_from(["succeeded", "failed"]))
    def finish(self, state: str) -> None:
        changed = self.model.enter(state, "queued", "running")
        with self.catalog.begin() as connection:
            assert jobs.finish(connection, self.job_id, state) == changed

    @precondition(lambda self: len(self.owners) % 3 == 2)
    @rule()
    def cancel(self) -> None:
        self.model.enter("cancelling", "queued", "running")
        expected = None if self.model.state in ("cancelling", "cancelled") else self._refused()
        self._call(expected, lambda connection: jobs.request_cancel(connection, self.job_id), self.model.retries)

    @rule()
    def finish_cancelled(self) -> None:
        changed = self.model.enter("cancelled", "cancelling")
        with self.catalog.begin() as connection:
            assert jobs.finish(connection, self.job_id, "cancelled") == changed

    @rule()
    def retry(self) -> None:
        expected = None if self._again("failed", "cancelled") else self._refused()
        self._call(expected, lambda connection: jobs.retry(connection, self.job_id), self.model.retries)

    @rule()
    def begin_anew(self) -> None:
        """Another version of the workflows goes on with the job."""
        expected = self.model.retries if self._again("queued", "running") else None
        with self.catalog.begin() as connection:
            assert jobs.begin_anew(connection, self.job_id) == expected

    @precondition(lambda self: len(self.model.events) > 6)
    @rule()
    def delete(self) -> None:
        expected, retries = self._refused(), self.model.retries
        if self.model.state in FINAL_STATES:
            expected, self.model = None, Model(state=None, retries=retries, events=[])
            self.owners.clear()
        self._call(expected, lambda connection: jobs.delete(connection, self.job_id), retries)

    @invariant()
    def is_as_the_model_says(self) -> None:
        with self.catalog.read() as connection:
            assert jobs.state(connection, self.job_id) == self.model.state
            events = [event.type for event in jobs.events.page(connection, self.job_id, 1_000, 0)[0]]
            assert events == self.model.events
            if self.model.state is None:
                return
            job = jobs.get(connection, self.job_id)
            running = bool(segments.running(connection, self.job_id))
        done = sum(known.done for known in self.model.segments.values())
        assert (job.retries, job.progress.done) == (self.model.retries, done)
        assert (job.finished_at is not None) == (job.state in FINAL_STATES)
        assert running == any(known.running for known in self.model.segments.values())

    def _again(self, *before: str) -> bool:
        if not self.model.enter("queued", *before):
            return False
        self.model.retries += 1
        for known in self.model.segments.values():  # fenced off
            known.attempt, known.running, known.deaths = known.attempt + 1, False, 0
        return True

    def _refused(self) -> type[Exception]:
        return NotFound if self.model.state is None else Conflict

    def _call(self, expected: type[Exception] | None, call: Any, answer: object) -> None:
        if expected is not None:
            with pytest.raises(expected), self.catalog.begin() as connection:
                call(connection)
            return
        with self.catalog.begin() as connection:
            assert call(connection) == answer


@pytest.fixture
def machine(catalog: Catalog) -> type[JobMachine]:
    return type("MachineOfOneDatabase", (JobMachine,), {"catalog": catalog})


def test_a_job_is_what_its_calls_have_made_of_it(machine: type[JobMachine]):
    wanted = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=not SOAK,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(machine, settings=wanted)
