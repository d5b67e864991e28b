"""The job engine looks for work where there is some, and a worker that waits costs next to nothing.

One look at a queue is three statements that the engine puts together anew each time, about 3 ms of Python: ten looks a
second at each queue, of workers that had nothing to do or no room, took a tenth of the machine from those who computed.
Here a thread that is about to look is kept until something waits that its worker has room for, which is one prepared
statement to ask. The engine's own looks stay as they are, so whatever this does not see is found seconds later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from service.jobs.engine import APP_VERSION

_THREAD = "queue-worker-"  # how the engine calls the thread that looks at a queue, before the queue's name
_LONGEST_S = 5.0
# The engine documents its table of workflows. The second condition on `status` is for SQLite's partial index.
_WAITING = """SELECT 1 FROM {table} WHERE queue_name = :queue AND status = 'ENQUEUED'
    AND status IN ('ENQUEUED', 'PENDING') AND application_version = :version LIMIT 1"""
STATEMENTS = {
    "sqlite": sa.text(_WAITING.format(table="workflow_status")),
    "postgresql": sa.text(_WAITING.format(table="dbos.workflow_status")),
}


class Looking:
    """When the engine's threads look at their queues.

    Args:
        pauses_s: of each queue, the pause between two questions whether something waits.
        has_room: whether this worker could take something now.
        stopping: once set, nothing is kept any more: the engine waits for its threads to end.
    """

    def __init__(self, pauses_s: Mapping[str, float], has_room: Callable[[], bool], stopping: threading.Event) -> None:
        self._pauses_s, self._has_room, self._stopping = pauses_s, has_room, stopping
        self._let_go: dict[str, float] = {}

    def begin(self) -> None:
        """From now on, in this process; the engine gets a connection before it has anything to say on it."""
        event.listen(sa.Engine, "engine_connect", self.keep)

    def keep(self, connection: sa.Connection) -> None:
        """Keep the calling thread, where it is about to look at a queue, until there is something to find."""
        name = threading.current_thread().name
        queue = name.removeprefix(_THREAD)
        pause_s = self._pauses_s.get(queue)
        if queue == name or pause_s is None:
            return
        began = time.monotonic()
        if began - self._let_go.get(queue, float("-inf")) < pause_s / 2:
            return  # a later statement of the same look
        while not self._stopping.is_set() and time.monotonic() - began < _LONGEST_S:
            if self._has_room() and is_waiting(connection, queue):
                break
            self._stopping.wait(pause_s)
        self._let_go[queue] = time.monotonic()


def is_waiting(connection: sa.Connection, queue: str) -> bool:
    """Whether a workflow of this version waits on a queue; also where nobody can tell, as the engine then sees why."""
    try:
        found = connection.execute(STATEMENTS[connection.dialect.name], {"queue": queue, "version": APP_VERSION})
        return found.first() is not None
    except DBAPIError:
        return True
    finally:
        connection.rollback()
