"""A job waits for its segments: its thread asks the database again and again, the less often the more jobs wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from dbos import WorkflowHandle

from workers.flows.runtime import runtime

_UNDELAYED = 4  # so many ask at the full rate; a hundred jobs in a queue must not keep the database busy with it


class Waiting:
    """How many wait in this process."""

    def __init__(self) -> None:
        self._lock, self._count = Lock(), 0

    @contextmanager
    def pause(self, shortest_s: float) -> Iterator[float]:
        """Wait within the block; yields the seconds between two looks, in proportion to those who wait already."""
        with self._lock:
            self._count += 1
            pause_s = shortest_s * max(1.0, self._count / _UNDELAYED)
        try:
            yield pause_s
        finally:
            with self._lock:
                self._count -= 1


_waiting = Waiting()


def result_of(handle: WorkflowHandle[Any]) -> Any:
    """What a segment returned, or what it raised, once it has ended."""
    with _waiting.pause(runtime().settings.poll_interval_s) as pause_s:
        return handle.get_result(polling_interval_sec=pause_s)
