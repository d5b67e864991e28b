"""A job waits for its segments: one thread of the process looks for all that wait, instead of each for itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from dbos import DBOS, WorkflowHandle

from service.errors import Cancelled
from service.jobs.engine import ENDED_BADLY
from workers.flows.engine.runtime import runtime

_LOG = logging.getLogger(__name__)
_LONGEST_S = 1.0
_SHARE_LOOKING = 0.1  # of the thread's time, where many wait or the database is slow
_LATE = 0.02  # how much later than it ended a long segment may be seen, as a share of the time since the last news
_WINDOW = 50  # workflows of one waiter that a look is about: they end in about the order in which they were enqueued
_COUNT_S = 5.0  # how often workflows are looked for that are no longer there: nobody tells that they were deleted
_ENDED = ["SUCCESS", *ENDED_BADLY]
Ended = Mapping[str, bool | None]


class Waiter:
    """Who waits for some workflows: until all have ended, or one badly, or one is gone."""

    def __init__(self, workflow_ids: Sequence[str]) -> None:
        self._missing = dict.fromkeys(workflow_ids)
        self._done = threading.Event()
        self._well, self._gone = True, False

    def next_ones(self) -> list[str]:
        """Those to look for."""
        return list(islice(self._missing, _WINDOW))

    def told(self, ended: Ended) -> bool:
        """Take note of what has ended; whether that is enough."""
        found = [workflow for workflow in self.next_ones() if workflow in ended]
        for workflow in found:
            del self._missing[workflow]
            self._well &= bool(ended[workflow])
            self._gone |= ended[workflow] is None
        if not self._missing or not self._well:
            self._done.set()
        return self._done.is_set()

    def wait(self) -> bool:
        """Block; whether all have ended well. Raises `Cancelled` when one is gone."""
        self._done.wait()
        if self._gone:
            raise Cancelled("the job was deleted")
        return self._well


class Waiting:
    """Who waits for which workflows.

    Args:
        ended_of: of some workflows those that have ended, and whether well, None for one that is gone; asked again
            after it has failed.
        shortest_s: least pause between two looks.
    """

    def __init__(self, ended_of: Callable[[list[str]], Ended], shortest_s: float) -> None:
        self._ended_of, self._shortest_s = ended_of, shortest_s
        self._changed = threading.Condition()
        self._news_s = time.monotonic()  # when somebody came or something ended
        self._waiters: list[Waiter] = []
        self._looker: threading.Thread | None = None

    def until_ended(self, workflow_ids: Sequence[str]) -> bool:
        """Block until all have ended, or one has badly; returns whether all have ended well.

        Raises:
            Cancelled: one is gone.
        """
        if not workflow_ids:
            return True
        waiter = Waiter(workflow_ids)
        with self._changed:
            self._waiters.append(waiter)
            self._news_s = time.monotonic()
            if self._looker is None:
                self._looker = threading.Thread(target=self._look_for_ever, name="waiting", daemon=True)
                self._looker.start()
            self._changed.notify()
        return waiter.wait()

    def _look_for_ever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiters)
                asked = dict.fromkeys(workflow for waiter in self._waiters for workflow in waiter.next_ones())
            began = time.monotonic()
            ended = self._look(list(asked))
            looked_s = time.monotonic() - began
            with self._changed:
                self._waiters = [waiter for waiter in self._waiters if not waiter.told(ended)]
                if ended:
                    self._news_s = time.monotonic()
            time.sleep(min(_LONGEST_S, max(self._shortest_s, looked_s * (1 / _SHARE_LOOKING - 1))))
            with self._changed:
                self._changed.wait(min(_LONGEST_S, _LATE * (time.monotonic() - self._news_s)))

    def _look(self, asked: list[str]) -> Ended:
        try:
            return self._ended_of(asked)
        except Exception:  # an outage that the engine does not wait out: those who wait must not wait for ever
            _LOG.exception("cannot look for segments that have ended; looking again")
            return {}


def result_of(handle: WorkflowHandle[Any]) -> Any:
    """What a segment returned, or what it raised, once it has ended."""
    _waiting().until_ended([handle.get_workflow_id()])
    return handle.get_result()


def results_of(handles: Sequence[WorkflowHandle[Any]]) -> list[Any]:
    """What each of some segments returned, or what the first of them that failed raised.

    Results are asked for in the order of the segments, whatever the order in which these end: a replay does the same.
    """
    if _waiting().until_ended([handle.get_workflow_id() for handle in handles]):
        return [handle.get_result() for handle in handles]
    return [result_of(handle) for handle in handles]


@cache
def _waiting() -> Waiting:
    return Waiting(_EndedWorkflows().among, runtime().settings.poll_interval_s)


class _EndedWorkflows:
    """Asks the engine; now and then also whether all are there."""

    def __init__(self) -> None:
        self._counted_s = time.monotonic()

    def among(self, workflow_ids: list[str]) -> Ended:
        """Those of `workflow_ids` that have ended or are gone."""
        found = DBOS.list_workflows(workflow_ids=workflow_ids, status=_ENDED, load_input=False, load_output=False)
        ended: dict[str, bool | None] = {workflow.workflow_id: workflow.status == "SUCCESS" for workflow in found}
        if time.monotonic() - self._counted_s > _COUNT_S:
            self._counted_s = time.monotonic()
            there = DBOS.list_workflows(workflow_ids=workflow_ids, load_input=False, load_output=False)
            ended |= dict.fromkeys(set(workflow_ids) - {workflow.workflow_id for workflow in there})
        return ended
