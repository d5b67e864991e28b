"""Jobs that wait for their segments: one thread looks for all of them, seldom when that takes long."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest

from service.errors import Cancelled
from workers.flows.engine.waiting import Waiting, _EndedWorkflows

SHORTEST_S = 0.01


class Workflows:
    """Workflows that end when told; every look is noted, and may be slow or fail."""

    def __init__(self) -> None:
        self.ended: dict[str, bool | None] = {}
        self.looks: list[list[str]] = []
        self.look_s, self.failures = 0.0, 0

    def ended_of(self, asked: list[str]) -> dict[str, bool | None]:
        self.looks.append(asked)
        time.sleep(self.look_s)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        return {workflow: self.ended[workflow] for workflow in asked if workflow in self.ended}

    def end(self, *names: str, well: bool = True) -> None:
        self.ended |= dict.fromkeys(names, well)


@pytest.fixture
def workflows() -> Workflows:
    return Workflows()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as made:
        yield made


def waiters(pool: ThreadPoolExecutor, waiting: Waiting, names: list[str]) -> dict[str, Future[bool]]:
    return {name: pool.submit(waiting.until_ended, [name]) for name in names}


def test_each_waits_for_its_own(workflows: Workflows, pool: ThreadPoolExecutor):
    waiting = Waiting(workflows.ended_of, SHORTEST_S)
    found = waiters(pool, waiting, ["a", "b"])
    workflows.end("b")
    found["b"].result(timeout=10)
    assert not wait([found["a"]], timeout=0.1).done
    workflows.end("a")
    found["a"].result(timeout=10)


def test_two_may_wait_for_one_and_who_comes_late_does_not_wait_long(workflows: Workflows, pool: ThreadPoolExecutor):
    waiting = Waiting(workflows.ended_of, SHORTEST_S)
    both = [pool.submit(waiting.until_ended, ["a"]) for _ in range(2)]
    workflows.end("a")
    for future in both:
        future.result(timeout=10)
    pool.submit(waiting.until_ended, ["a"]).result(timeout=10)


def test_one_look_is_for_all_and_slow_looks_are_rare(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.look_s = 0.02
    names = [f"w{number}" for number in range(50)]
    waiting = Waiting(workflows.ended_of, SHORTEST_S)
    began = time.monotonic()
    found = waiters(pool, waiting, names)
    time.sleep(0.6)
    looks = len(workflows.looks)
    assert 2 <= looks <= (time.monotonic() - began) / (10 * workflows.look_s) + 2  # a tenth of the time at most
    assert sorted(workflows.looks[-1]) == sorted(names)
    workflows.end(*names)
    for future in found.values():
        future.result(timeout=10)
    assert len(workflows.looks) <= looks + 5


def test_who_waits_survives_looks_that_fail(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.failures = 3
    workflows.end("a")
    pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a"]).result(timeout=10)
    assert len(workflows.looks) == 4


def test_nobody_looks_while_nobody_waits(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.end("a")
    pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a"]).result(timeout=10)
    looks = len(workflows.looks)
    time.sleep(0.1)
    assert len(workflows.looks) == looks


def test_who_waits_for_many_needs_one_look_for_all_that_have_ended(workflows: Workflows, pool: ThreadPoolExecutor):
    names = [f"w{number:04d}" for number in range(1000)]
    workflows.end(*names)
    assert pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, names).result(timeout=10)
    assert len(workflows.looks) == 20
    assert max(map(len, workflows.looks)) == 50


def test_whoever_ends_badly_is_told_before_all_have_ended(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.end("c", well=False)
    found = pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a", "b", "c"])
    assert not found.result(timeout=10)


def test_all_of_several_are_waited_for(workflows: Workflows, pool: ThreadPoolExecutor):
    found = pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a", "b"])
    workflows.end("b")
    assert not wait([found], timeout=0.1).done
    workflows.end("a")
    assert found.result(timeout=10)


def test_nothing_to_wait_for_is_nothing(workflows: Workflows, pool: ThreadPoolExecutor):
    assert pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, []).result(timeout=10)


def test_the_longer_nothing_happens_the_rarer_are_looks(
    workflows: Workflows, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.flows.engine.waiting._LATE", 4.0)  # each pause four times as long as all before
    waiting = Waiting(workflows.ended_of, SHORTEST_S)
    found = pool.submit(waiting.until_ended, ["a"])
    time.sleep(0.4)
    assert len(workflows.looks) <= 8
    workflows.end("b")
    began = time.monotonic()
    pool.submit(waiting.until_ended, ["b"]).result(timeout=10)
    assert time.monotonic() - began < 0.5  # who comes does not wait for the end of a long pause
    workflows.end("a")
    found.result(timeout=10)


def test_who_waits_for_what_was_deleted_is_told(workflows: Workflows, pool: ThreadPoolExecutor):
    waiting = Waiting(workflows.ended_of, SHORTEST_S)
    found = pool.submit(waiting.until_ended, ["a", "b"])
    workflows.ended["b"] = None
    workflows.end("a")
    with pytest.raises(Cancelled):
        found.result(timeout=10)


def test_what_is_no_longer_there_is_noticed_after_a_while(monkeypatch: pytest.MonkeyPatch):
    there = {"a": "PENDING", "b": "SUCCESS"}

    class Engine:
        @staticmethod
        def list_workflows(*, workflow_ids: list[str], status: Sequence[str] = (), **_: bool) -> list[SimpleNamespace]:
            asked = {name: there[name] for name in workflow_ids if name in there}
            return [
                SimpleNamespace(workflow_id=name, status=state)
                for name, state in asked.items()
                if not status or state in status
            ]

    monkeypatch.setattr("workers.flows.engine.waiting.DBOS", Engine)
    asking = _EndedWorkflows()
    assert asking.among(["a", "b", "c"]) == {"b": True}
    monkeypatch.setattr("workers.flows.engine.waiting._COUNT_S", 0.0)
    assert asking.among(["a", "b", "c"]) == {"b": True, "c": None}
