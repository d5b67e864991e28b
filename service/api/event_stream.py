"""A job's events as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from service.catalog import events, jobs
from service.catalog.engine import Catalog
from service.contracts.jobs import FINAL_STATES, JobEvent

_POLL_S, _AT_ONCE = 0.25, 200
_KEEP_ALIVE_S = 15.0


async def stream_events(catalog: Catalog, job_id: str, after: int) -> AsyncIterator[str]:
    """Every event after the one of id `after`, as it comes, until the job has ended or is gone and all were sent.

    A client that was cut off asks again with `Last-Event-ID`, and misses nothing.
    """
    quiet = 0.0
    while True:
        page, ended = await run_in_threadpool(_read, catalog, job_id, after)
        for event in page:
            after = event.id
            yield f"id: {event.id}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"
        if ended:
            return
        if page:
            quiet = 0.0
            continue
        await asyncio.sleep(_POLL_S)
        quiet += _POLL_S
        if quiet >= _KEEP_ALIVE_S:
            quiet = 0.0
            yield ": waiting\n\n"


def _read(catalog: Catalog, job_id: str, after: int) -> tuple[list[JobEvent], bool]:
    """The next events, and whether no others can follow: the job is final (looked up first) or gone."""
    with catalog.read() as connection:
        final = jobs.state(connection, job_id) in (None, *FINAL_STATES)
        page, following = events.page(connection, job_id, _AT_ONCE, after)
    return page, final and following is None
