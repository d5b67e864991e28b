"""Jobs that wait for their segments: one thread looks for all of them, seldom when that takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest

from service.errors import Cancelled
from workers.flows.engine.waiting import Waiting, _EndedWorkflows

SHORTEST_S, PATIENCE_S = 0.01, 10.0


class Clock:
    """Goes on by what is slept, at once, and by what it is told."""

    def __init__(self) -> None:
        self.seconds, self.slept = 0.0, list[float]()

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.slept.append(seconds)


class Workflows:
    """Workflows that end when told; every look is noted, and may take a while or fail."""

    def __init__(self) -> None:
        self.ended: dict[str, bool | None] = {}
        self.looks: list[list[str]] = []
        self.clock, self.look_s, self.failures = Clock(), 0.0, 0

    def ended_of(self, asked: list[str]) -> dict[str, bool | None]:
        self.looks.append(asked)
        self.clock.seconds += self.look_s
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
    found["b"].result(timeout=PATIENCE_S)
    assert not wait([found["a"]], timeout=0.1).done
    workflows.end("a")
    found["a"].result(timeout=PATIENCE_S)


def test_two_may_wait_for_one_and_who_comes_late_does_not_wait_long(workflows: Workflows, pool: ThreadPoolExecutor):
    waiting = Waiting(workflows.ended_of, SHORTEST_S)
    both = [pool.submit(waiting.until_ended, ["a"]) for _ in range(2)]
    workflows.end("a")
    for future in both:
        future.result(timeout=PATIENCE_S)
    pool.submit(waiting.until_ended, ["a"]).result(timeout=PATIENCE_S)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def by_clock(workflows: Workflows) -> Waiting:
    return Waiting(workflows.ended_of, SHORTEST_S, clock=workflows.clock, sleep=workflows.clock.sleep)


def test_one_look_is_for_all_and_slow_looks_are_rare(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.look_s = 0.02
    names = [f"w{number:02d}" for number in range(50)]
    found = waiters(pool, by_clock(workflows), names)
    until(lambda: any(sorted(look) == names for look in list(workflows.looks)))
    workflows.end(*names)
    for future in found.values():
        assert future.result(timeout=PATIENCE_S)
    until(lambda: len(workflows.clock.slept) == len(workflows.looks))
    assert workflows.clock.slept == pytest.approx([9 * workflows.look_s] * len(workflows.looks))  # a tenth of the time


def test_who_waits_survives_looks_that_fail(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.failures = 3
    workflows.end("a")
    pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a"]).result(timeout=PATIENCE_S)
    assert len(workflows.looks) == 4


def test_nobody_looks_while_nobody_waits(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.end("a")
    pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a"]).result(timeout=PATIENCE_S)
    looks = len(workflows.looks)
    time.sleep(0.1)
    assert len(workflows.looks) == looks


def test_who_waits_for_many_needs_one_look_for_all_that_have_ended(workflows: Workflows, pool: ThreadPoolExecutor):
    names = [f"w{number:04d}" for number in range(1000)]
    workflows.end(*names)
    assert pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, names).result(timeout=PATIENCE_S)
    assert len(workflows.looks) == 20
    assert max(map(len, workflows.looks)) == 50


def test_whoever_ends_badly_is_told_before_all_have_ended(workflows: Workflows, pool: ThreadPoolExecutor):
    workflows.end("c", well=False)
    found = pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a", "b", "c"])
    assert not found.result(timeout=PATIENCE_S)


def test_all_of_several_are_waited_for(workflows: Workflows, pool: ThreadPoolExecutor):
    found = pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, ["a", "b"])
    workflows.end("b")
    assert not wait([found], timeout=0.1).done
    workflows.end("a")
    assert found.result(timeout=PATIENCE_S)


def test_nothing_to_wait_for_is_nothing(workflows: Workflows, pool: ThreadPoolExecutor):
    assert pool.submit(Waiting(workflows.ended_of, SHORTEST_S).until_ended, []).result(timeout=PATIENCE_S)


def test_the_longer_nothing_happens_the_rarer_are_looks_but_whoever_comes_is_looked_for_at_once(
    workflows: Workflows, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.flows.engine.waiting._LONGEST_PAUSE_S", 3600.0)
    monkeypatch.setattr("workers.flows.engine.waiting._LATE", 1e6)  # an hour after the shortest pause
    waiting = by_clock(workflows)
    found = [pool.submit(waiting.until_ended, ["a"])]
    workflows.end("b", "c")
    for name in ("b", "c"):
        until(lambda: len(workflows.clock.slept) == len(found))
        found.append(pool.submit(waiting.until_ended, [name]))
        assert found[-1].result(timeout=PATIENCE_S)
    assert workflows.looks == [["a"], ["a", "b"], ["a", "c"]]
    workflows.end("a")
    until(lambda: len(workflows.clock.slept) == len(found))
    assert pool.submit(waiting.until_ended, ["c"]).result(timeout=PATIENCE_S)
    assert found[0].result(timeout=PATIENCE_S)


def test_who_waits_for_what_was_deleted_is_told(workflows: Workflows, pool: ThreadPoolExecutor):
    waiting = Waiting(workflows.ended_of, SHORTEST_S)
    found = pool.submit(waiting.until_ended, ["a", "b"])
    workflows.ended["b"] = None
    workflows.end("a")
    with pytest.raises(Cancelled):
        found.result(timeout=PATIENCE_S)


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
