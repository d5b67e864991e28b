"""Lets the job engine poll its queues only when something waits, so that an idle worker costs almost nothing.

A poll of a queue is three statements that the engine builds anew each time, about 3 ms of Python: ten polls a second
of each queue, by workers that had nothing to do or no room, took a tenth of the machine from those that computed. A
poll begins with the queue's own row. There its thread is blocked until something waits that the worker has room for,
which one prepared statement checks. The polls remain the engine's: what is missed here is found seconds later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from service.catalog import workflows
from service.catalog.engine import Catalog
from service.errors import Unavailable
from service.jobs.engine import APP_VERSION

POLL_S = 0.02  # the engine's own pause between a queue's row and its workflows; no thread is blocked then
_THREAD = "queue-worker-"  # the engine's name of the thread that polls a queue, before the queue's name
_BEGINS = {"sqlite": "FROM main.queues", "postgresql": "FROM dbos.queues"}  # in the first statement of a poll only
_LONGEST_S = 5.0


class QueuePolling:
    """Blocks the engine's threads before they poll their queues.

    Args:
        catalog: the catalog of the database that has the engine's tables.
        pauses_s: for each queue, the pause between two checks whether something waits.
        has_room: whether this worker could take something now.
        stopping: once set, no thread is blocked any more: the engine waits for its threads to end.
    """

    def __init__(
        self,
        catalog: Catalog,
        pauses_s: Mapping[str, float],
        has_room: Callable[[], bool],
        stopping: threading.Event,
    ) -> None:
        self._catalog, self._pauses_s, self._has_room, self._stopping = catalog, pauses_s, has_room, stopping

    def begin(self) -> None:
        """Block polls from now on, in this process; a blocked statement has not reached the driver yet."""
        event.listen(sa.Engine, "before_cursor_execute", self._before)

    def _before(self, connection: sa.Connection, _cursor: object, statement: str, *_: Any) -> None:
        queue = threading.current_thread().name.removeprefix(_THREAD)
        if queue in self._pauses_s and _BEGINS[connection.dialect.name] in statement.replace('"', ""):
            self.block(queue)

    def block(self, queue: str) -> None:
        """Return when something waits on the queue that this worker has room for, or after some seconds."""
        pause_s, began = self._pauses_s[queue], time.monotonic()
        while not self._stopping.is_set() and time.monotonic() - began < _LONGEST_S:
            try:
                if self._has_room() and is_waiting(self._catalog, queue):
                    return
            except Unavailable:  # the engine's poll meets the same failure, once per pause
                self._stopping.wait(pause_s)
                return
            self._stopping.wait(pause_s)


def is_waiting(catalog: Catalog, queue: str) -> bool:
    """Whether a workflow of this version waits on a queue.

    Raises:
        Unavailable: the database is away.
    """
    with catalog.read() as connection:
        return workflows.is_waiting(connection, queue, APP_VERSION)
