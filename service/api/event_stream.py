"""A job's events as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from service.api.event_feed import PAGE, EventPoller
from service.catalog import events, jobs
from service.catalog.engine import Catalog
from service.contracts.jobs import FINAL_STATES, Job, JobEvent
from service.errors import NotFound

_KEEP_ALIVE_S, _PROGRESS_S = 15.0, 1.0


@dataclass(frozen=True)
class Reader:
    """The reader of a stream.

    Attributes:
        may_read: whether the key with which it was opened is still valid.
    """

    project: str
    may_read: Callable[[], bool]


async def stream_events(
    catalog: Catalog, poller: EventPoller, reader: Reader, job_id: str, after: int, *, progress: bool = False
) -> AsyncIterator[str]:
    """Every event after the one of id `after`, as it is recorded, until the job has ended or was deleted.

    The stream ends too when the reader's key is no longer valid. A client whose connection broke sends `Last-Event-ID`
    with its next request and misses nothing. With `progress` there are messages of type `progress` between them, with
    the job, at most one a second; they have no id.
    """
    pause_s, shown = _PROGRESS_S if progress else _KEEP_ALIVE_S, None
    with poller.follow(job_id, reader.project) as feed:
        while reader.may_read():
            changed = feed.changed
            page, ended = feed.after(after) or await run_in_threadpool(_read, catalog, job_id, after)
            for event in page:
                after = event.id
                yield f"id: {event.id}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"
            if ended:
                return
            if progress and (job := await run_in_threadpool(_job, catalog, job_id)) and job.progress != shown:
                shown = job.progress
                yield f"event: progress\ndata: {job.model_dump_json()}\n\n"
            if not page and not await _change(changed, pause_s):
                yield ": waiting\n\n"


async def _change(changed: asyncio.Event, pause_s: float) -> bool:
    """Wait for a change of the feed; False when there was none within `pause_s`."""
    try:
        await asyncio.wait_for(changed.wait(), pause_s)
    except TimeoutError:
        return False
    return True


def _job(catalog: Catalog, job_id: str) -> Job | None:
    """The job; None where it was deleted."""
    try:
        with catalog.read() as connection:
            return jobs.get(connection, job_id)
    except NotFound:
        return None


def _read(catalog: Catalog, job_id: str, after: int) -> tuple[list[JobEvent], bool]:
    """The next events, and whether no others can follow: the job is final (read before them) or was deleted."""
    with catalog.read() as connection:
        final = jobs.state(connection, job_id) in (None, *FINAL_STATES)
        page, following = events.page(connection, job_id, PAGE, after)
    return page, final and following is None
