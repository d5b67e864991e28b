"""Waiting for segments: one thread per process polls the job engine for all workflows that wait.

A poll queries at most `_WINDOW` segments of each waiter. The pause between polls grows with the time since the last
segment ended, so that the end of a long segment is found at most 2 % late and polling takes at most a tenth of the
thread.
"""

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
_LONGEST_PAUSE_S = 1.0
_POLLING_SHARE = 0.1  # of the thread's time, at most, where many wait or the database is slow
_LATE = 0.02  # longest delay in noticing an end, as a share of the time since the last change
_WINDOW = 50  # segments of one waiter per poll: they end in about the order in which they were enqueued
_COUNT_S = 5.0  # seconds between two checks that all workflows still exist: a deletion causes no event
_ENDED = ["SUCCESS", *ENDED_BADLY]
Ended = Mapping[str, bool | None]


class Waiter:
    """Waits for some workflows until all have ended, one has failed, or one no longer exists."""

    def __init__(self, workflow_ids: Sequence[str]) -> None:
        self._missing = dict.fromkeys(workflow_ids)
        self._done = threading.Event()
        self._succeeded, self._gone = True, False

    def window(self) -> list[str]:
        """The workflows to poll for next."""
        return list(islice(self._missing, _WINDOW))

    def update(self, ended: Ended) -> bool:
        """Take note of workflows that have ended; returns whether the wait is over."""
        found = [workflow for workflow in self.window() if workflow in ended]
        for workflow in found:
            del self._missing[workflow]
            self._succeeded &= bool(ended[workflow])
            self._gone |= ended[workflow] is None
        if not self._missing or not self._succeeded:
            self._done.set()
        return self._done.is_set()

    def wait(self) -> bool:
        """Block; returns whether all have succeeded. Raises `Cancelled` when one no longer exists."""
        self._done.wait()
        if self._gone:
            raise Cancelled("the job was deleted")
        return self._succeeded


class Waiting:
    """All waiters of a process, and the thread that polls for them.

    Args:
        ended_of: takes workflow ids, returns those that have ended: True for success, None for one that no longer
            exists. A call that raises is repeated.
        shortest_s: least pause between two polls, in seconds.
        clock, sleep: as those of `time`.
    """

    def __init__(
        self,
        ended_of: Callable[[list[str]], Ended],
        shortest_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ended_of, self._shortest_s, self._clock, self._sleep = ended_of, shortest_s, clock, sleep
        self._changed = threading.Condition()
        self._changed_s = clock()  # when a waiter came or a workflow ended
        self._waiters: list[Waiter] = []
        self._poller: threading.Thread | None = None

    def until_ended(self, workflow_ids: Sequence[str]) -> bool:
        """Block until all have ended or one has failed; returns whether all have succeeded.

        Raises:
            Cancelled: one no longer exists.
        """
        if not workflow_ids:
            return True
        waiter = Waiter(workflow_ids)
        with self._changed:
            self._waiters.append(waiter)
            self._changed_s = self._clock()
            if self._poller is None:
                self._poller = threading.Thread(target=self._poll_for_ever, name="waiting", daemon=True)
                self._poller.start()
            self._changed.notify()
        return waiter.wait()

    def _poll_for_ever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiters)
                wanted = dict.fromkeys(workflow for waiter in self._waiters for workflow in waiter.window())
            began = self._clock()
            ended = self._poll(list(wanted))
            polled_s = self._clock() - began
            with self._changed:
                self._waiters = [waiter for waiter in self._waiters if not waiter.update(ended)]
                if ended:
                    self._changed_s = self._clock()
            self._sleep(min(_LONGEST_PAUSE_S, max(self._shortest_s, polled_s * (1 / _POLLING_SHARE - 1))))
            with self._changed:
                self._changed.wait(min(_LONGEST_PAUSE_S, _LATE * (self._clock() - self._changed_s)))

    def _poll(self, workflow_ids: list[str]) -> Ended:
        try:
            return self._ended_of(workflow_ids)
        except Exception:  # an outage that the job engine does not wait out must not block the waiters for ever
            _LOG.exception("polling for ended segments failed; it is repeated")
            return {}


def result_of(handle: WorkflowHandle[Any]) -> Any:
    """Wait for a segment; returns its result or raises its error."""
    _waiting().until_ended([handle.get_workflow_id()])
    return handle.get_result()


def results_of(handles: Sequence[WorkflowHandle[Any]]) -> list[Any]:
    """Wait for some segments; returns their results, or raises the error of the first in order that failed.

    Results are read in the order of the segments, whatever the order in which these end: a replay does the same.
    """
    if _waiting().until_ended([handle.get_workflow_id() for handle in handles]):
        return [handle.get_result() for handle in handles]
    return [result_of(handle) for handle in handles]


@cache
def _waiting() -> Waiting:
    return Waiting(_EndedWorkflows().among, runtime().settings.poll_interval_s)


class _EndedWorkflows:
    """Queries the job engine for ended workflows, and every few seconds for workflows that no longer exist."""

    def __init__(self) -> None:
        self._counted_s = time.monotonic()

    def among(self, workflow_ids: list[str]) -> Ended:
        """The workflows among `workflow_ids` that have ended or no longer exist."""
        found = DBOS.list_workflows(workflow_ids=workflow_ids, status=_ENDED, load_input=False, load_output=False)
        ended: dict[str, bool | None] = {workflow.workflow_id: workflow.status == "SUCCESS" for workflow in found}
        if time.monotonic() - self._counted_s > _COUNT_S:
            self._counted_s = time.monotonic()
            existing = DBOS.list_workflows(workflow_ids=workflow_ids, load_input=False, load_output=False)
            ended |= dict.fromkeys(set(workflow_ids) - {workflow.workflow_id for workflow in existing})
        return ended
