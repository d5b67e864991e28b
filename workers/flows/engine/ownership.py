"""Ownership of a segment: a worker's name and a fencing token that each takeover raises.

A worker that was frozen and replaced holds an older token. Its next progress write and its next recorded change are
refused, so that it cannot publish over its successor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from service.catalog import segments
from service.catalog.engine import Connection
from service.errors import Unavailable
from workers.flows.engine.runtime import Runtime

Result = TypeVar("Result")


@dataclass
class SegmentOwner:
    """This worker as the owner of one segment of a job.

    Attributes:
        runtime: the process that runs the segment.
        segment: name of the segment within its job.
        attempt: the fencing token: 1 for the first owner, one more after each takeover.
    """

    runtime: Runtime
    job_id: str
    segment: str
    attempt: int
    _written_s: float = field(default=float("-inf"))

    def progress(self, done: int, *, final: bool = False) -> None:
        """Record that `done` units are done, at most once per `progress_interval_s` unless `final`.

        Raises:
            Cancelled: the job is no longer running.
            Superseded: another worker owns the segment.
        """
        if not final and time.monotonic() - self._written_s < self.runtime.settings.progress_interval_s:
            return
        self._written_s = time.monotonic()
        # Progress is informative only: an outage of the database must not fail the work.
        with suppress(Unavailable), self.runtime.catalog.begin() as connection:
            segments.tick(connection, self.job_id, self.segment, self.attempt, done=done)

    def check(self, connection: Connection) -> None:
        """Raise unless this owner may still publish, within the transaction that publishes.

        Raises:
            Cancelled, Superseded: as `progress`.
        """
        segments.check(connection, self.job_id, self.segment, self.attempt)

    def record(self, change: Callable[[Connection], Result]) -> Result:
        """Run `change` under the fence: in one transaction with the check that this owner may still publish.

        Raises:
            Cancelled, Superseded: as `progress`; nothing was changed.
            Unavailable: the database was away for ten minutes.
        """
        return self.runtime.write(partial(self._fenced, change))

    def _fenced(self, change: Callable[[Connection], Result], connection: Connection) -> Result:
        self.check(connection)
        return change(connection)
