"""The job engine looks for work where there is some, and a worker that waits costs next to nothing.

One look at a queue is three statements that the engine puts together anew each time, about 3 ms of Python: ten looks a
second at each queue, of workers that had nothing to do or no room, took a tenth of the machine from those who computed.
A look begins with the queue's own row. There its thread is kept until something waits that the worker has room for,
which is one prepared statement to ask. The looks stay the engine's, so what this does not see is found seconds later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from service.catalog.engine import Catalog
from service.errors import Unavailable
from service.jobs.engine import APP_VERSION

POLL_S = 0.02  # the engine's own pause between a queue's row and its workflows; nobody is kept then
_THREAD = "queue-worker-"  # how the engine calls the thread that looks at a queue, before the queue's name
_BEGINS = {"sqlite": "FROM main.queues", "postgresql": "FROM dbos.queues"}  # in the first statement of a look only
_LONGEST_S = 5.0
# The engine documents its table of workflows. The second condition on `status` is for SQLite's partial index.
_WAITING = """SELECT 1 FROM {table} WHERE queue_name = :queue AND status = 'ENQUEUED'
    AND status IN ('ENQUEUED', 'PENDING') AND application_version = :version LIMIT 1"""
STATEMENTS = {
    "sqlite": sa.text(_WAITING.format(table="workflow_status")),
    "postgresql": sa.text(_WAITING.format(table="dbos.workflow_status")),
}


class QueuePolling:
    """When the engine's threads look at their queues.

    Args:
        catalog: of the database that the engine's tables are in.
        pauses_s: of each queue, the pause between two questions whether something waits.
        has_room: whether this worker could take something now.
        stopping: once set, nothing is kept any more: the engine waits for its threads to end.
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
        """From now on, in this process. The driver has been told nothing of a statement that is kept."""
        event.listen(sa.Engine, "before_cursor_execute", self._before)

    def _before(self, connection: sa.Connection, _cursor: object, statement: str, *_: Any) -> None:
        queue = threading.current_thread().name.removeprefix(_THREAD)
        if queue in self._pauses_s and _BEGINS[connection.dialect.name] in statement.replace('"', ""):
            self.keep(queue)

    def keep(self, queue: str) -> None:
        """Return when there is something to find, or a look is due."""
        pause_s, began = self._pauses_s[queue], time.monotonic()
        while not self._stopping.is_set() and time.monotonic() - began < _LONGEST_S:
            try:
                if self._has_room() and is_waiting(self._catalog, queue):
                    return
            except Unavailable:  # the engine sees why, at the pace of questions and not of its looks
                self._stopping.wait(pause_s)
                return
            self._stopping.wait(pause_s)


def is_waiting(catalog: Catalog, queue: str) -> bool:
    """Whether a workflow of this version waits on a queue.

    Raises:
        Unavailable: the database is away.
    """
    asked = STATEMENTS[catalog.engine.dialect.name]
    with catalog.read() as connection:
        return connection.execute(asked, {"queue": queue, "version": APP_VERSION}).first() is not None
