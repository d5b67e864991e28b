"""A job's events as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from service.api.event_feed import PAGE, EventPoller
from service.catalog import events, jobs
from service.catalog.engine import Catalog
from service.contracts.jobs import FINAL_STATES, JobEvent

_KEEP_ALIVE_S = 15.0


async def stream_events(catalog: Catalog, poller: EventPoller, job_id: str, after: int) -> AsyncIterator[str]:
    """Every event after the one of id `after`, as it is recorded, until the job has ended or was deleted.

    A client whose connection broke sends `Last-Event-ID` with its next request and misses nothing.
    """
    with poller.follow(job_id) as feed:
        while True:
            changed = feed.changed
            page, ended = feed.after(after) or await run_in_threadpool(_read, catalog, job_id, after)
            for event in page:
                after = event.id
                yield f"id: {event.id}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"
            if ended:
                return
            if not page and not await _change(changed):
                yield ": waiting\n\n"


async def _change(changed: asyncio.Event) -> bool:
    """Wait for a change of the feed; False when there was none within the keep-alive interval."""
    try:
        await asyncio.wait_for(changed.wait(), _KEEP_ALIVE_S)
    except TimeoutError:
        return False
    return True


def _read(catalog: Catalog, job_id: str, after: int) -> tuple[list[JobEvent], bool]:
    """The next events, and whether no others can follow: the job is final (read before them) or was deleted."""
    with catalog.read() as connection:
        final = jobs.state(connection, job_id) in (None, *FINAL_STATES)
        page, following = events.page(connection, job_id, PAGE, after)
    return page, final and following is None
