"""One poller of the events table for all event streams of the process.

Every `POLL_S` one query reads the state and the newest event of all jobs that have a stream; what is new is read
once for each job and kept for its streams. A stream that lags behind, because its client reads slowly, reads its own
pages from the database, so it holds up no other and nothing is queued for it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from service.catalog import events
from service.catalog.engine import Catalog, Connection
from service.contracts.jobs import FINAL_STATES, JobEvent

POLL_S, PAGE = 0.25, 200


@dataclass
class Feed:
    """The latest events of one job; changed by the poller, on the event loop.

    Attributes:
        newest: id of the last event that the poller has read; None before its first answer.
        since: `recent` has all events after this id, up to `newest`.
        ended: the job was final, or deleted, when `newest` was its last event.
        changed: set, and replaced, whenever any of these changes.
        error: why the poller could not read; the streams of this feed end with it.
    """

    streams: int = 0
    newest: int | None = None
    since: int = sys.maxsize
    recent: list[JobEvent] = field(default_factory=list)
    ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    def after(self, known: int) -> tuple[list[JobEvent], bool] | None:
        """The events after the one of id `known` and whether no others can follow; None where they are not all here."""
        if self.error is not None:
            raise self.error
        if self.newest is None or known < self.since:
            return None
        return [event for event in self.recent if event.id > known], self.ended and known <= self.newest

    def update(self, newest: int, new: list[JobEvent] | None, *, ended: bool) -> None:
        """Take in what the poller read; None: more than a page, or the first answer, and streams read by themselves."""
        if (newest, ended) == (self.newest, self.ended):
            return
        if new is None:
            self.recent, self.since = [], newest
        else:
            kept = [*self.recent, *new]
            self.recent, dropped = kept[-PAGE:], kept[:-PAGE]
            self.since = dropped[-1].id if dropped else self.since
        self.newest, self.ended = newest, ended
        self.announce()

    def fail(self, error: Exception) -> None:
        """End the streams of this feed with an error."""
        self.error = error
        self.announce()

    def announce(self) -> None:
        """Resume the streams that wait for a change."""
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(frozen=True)
class Reading:
    """The result of one query about a job; `new` is None where the streams must read by themselves."""

    newest: int
    ended: bool
    new: list[JobEvent] | None


class EventPoller:
    """Reads the events of all streamed jobs while there are streams; used on one event loop."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._feeds: dict[str, Feed] = {}
        self._of_projects = Counter[str]()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def follow(self, job_id: str, project: str) -> Iterator[Feed]:
        """The feed of a job, kept up to date within the block, for a stream of that project."""
        self._of_projects[project] += 1
        feed = self._feeds.setdefault(job_id, Feed())
        feed.streams += 1
        if not self.polling:
            self._task = asyncio.get_running_loop().create_task(self._poll(), name="event poller")
        try:
            yield feed
        finally:
            self._of_projects[project] -= 1
            feed.streams -= 1
            if not feed.streams and self._feeds.get(job_id) is feed:
                del self._feeds[job_id]

    @property
    def streams(self) -> int:
        """Number of open streams."""
        return sum(feed.streams for feed in list(self._feeds.values()))

    def streams_of(self, project: str) -> int:
        """Number of open streams of a project."""
        return self._of_projects[project]

    @property
    def polling(self) -> bool:
        """Whether the poller runs, as it does while there are streams."""
        return self._task is not None and not self._task.done()

    def close(self) -> None:
        """Stop polling; streams that are left get no more events."""
        if self._task is not None:
            self._task.cancel()

    async def _poll(self) -> None:
        while self._feeds:
            feeds = dict(self._feeds)
            try:
                known = {job_id: feed.newest for job_id, feed in feeds.items()}
                found = await run_in_threadpool(self._read, known)
            except Exception as error:
                for job_id, feed in feeds.items():
                    self._feeds.pop(job_id, None)  # the next stream of the job begins with a feed of its own
                    feed.fail(error)
            else:
                for job_id, reading in found.items():
                    feeds[job_id].update(reading.newest, reading.new, ended=reading.ended)
            await asyncio.sleep(POLL_S)

    def _read(self, known: dict[str, int | None]) -> dict[str, Reading]:
        with self._catalog.read() as connection:
            states = events.newest_of(connection, list(known))
            return {
                job_id: _reading(connection, job_id, before, *states.get(job_id, (None, sys.maxsize)))
                for job_id, before in known.items()
            }


def _reading(connection: Connection, job_id: str, before: int | None, state: str | None, newest: int) -> Reading:
    """The new events of a job after `before`; it was in `state` (None: deleted) when `newest` was its last event."""
    final = state in (None, *FINAL_STATES)
    if before is None:
        return Reading(newest, final, None)
    if state is None or newest == before:
        return Reading(newest, final, [])
    new, following = events.page(connection, job_id, PAGE, before)
    if following is not None or not new:
        return Reading(newest, final, None)
    return Reading(new[-1].id, final and new[-1].id == newest, new)
