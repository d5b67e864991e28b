"""A job waits for its segments: one thread of the process looks for all that wait, instead of each for itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

from dbos import DBOS, WorkflowHandle

from service.jobs.engine import ENDED_BADLY
from workers.flows.runtime import runtime

_LOG = logging.getLogger(__name__)
_LONGEST_S = 1.0
_SHARE_LOOKING = 0.1  # of the thread's time, where many wait or the database is slow
_ENDED = ["SUCCESS", *ENDED_BADLY]


class Waiting:
    """Who waits for which workflows.

    Args:
        ended_of: of some workflows those that have ended; asked again after it has failed.
        shortest_s: least pause between two looks.
    """

    def __init__(self, ended_of: Callable[[list[str]], Collection[str]], shortest_s: float) -> None:
        self._ended_of, self._shortest_s = ended_of, shortest_s
        self._changed = threading.Condition()
        self._waiting: dict[str, threading.Event] = {}
        self._looker: threading.Thread | None = None

    def until_ended(self, workflow_id: str) -> None:
        """Block until that workflow has ended."""
        with self._changed:
            ended = self._waiting.setdefault(workflow_id, threading.Event())
            if self._looker is None:
                self._looker = threading.Thread(target=self._look_for_ever, name="waiting", daemon=True)
                self._looker.start()
            self._changed.notify()
        ended.wait()

    def _look_for_ever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                asked = list(self._waiting)
            began = time.monotonic()
            self._release(self._look(asked))
            looked_s = time.monotonic() - began
            time.sleep(min(_LONGEST_S, max(self._shortest_s, looked_s * (1 / _SHARE_LOOKING - 1))))

    def _look(self, asked: list[str]) -> Collection[str]:
        try:
            return self._ended_of(asked)
        except Exception:  # an outage that the engine does not wait out: those who wait must not wait for ever
            _LOG.exception("cannot look for segments that have ended; looking again")
            return []

    def _release(self, ended: Collection[str]) -> None:
        with self._changed:
            for workflow_id in ended:
                self._waiting.pop(workflow_id).set()


def result_of(handle: WorkflowHandle[Any]) -> Any:
    """What a segment returned, or what it raised, once it has ended."""
    _waiting().until_ended(handle.get_workflow_id())
    return handle.get_result()


@cache
def _waiting() -> Waiting:
    return Waiting(_ended_workflows, runtime().settings.poll_interval_s)


def _ended_workflows(workflow_ids: list[str]) -> list[str]:
    found = DBOS.list_workflows(workflow_ids=workflow_ids, status=_ENDED, load_input=False, load_output=False)
    return [workflow.workflow_id for workflow in found]
