"""A job's events as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from service.catalog import events
from service.catalog.engine import Catalog
from service.contracts.jobs import FINAL_STATES, JobEvent

_POLL_S, _AT_ONCE = 0.25, 200
_KEEP_ALIVE_S = 15.0


async def stream_events(catalog: Catalog, job_id: str, after: int) -> AsyncIterator[str]:
    """Every event after the one of id `after`, as it comes, until the job has ended and all were sent.

    A client that was cut off asks again with `Last-Event-ID`, and misses nothing.
    """
    quiet = 0.0
    while True:
        page = await run_in_threadpool(_read, catalog, job_id, after)
        for event in page:
            after = event.id
            yield f"id: {event.id}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"
        if page and page[-1].type in FINAL_STATES:
            return
        if page:
            quiet = 0.0
            continue
        await asyncio.sleep(_POLL_S)
        quiet += _POLL_S
        if quiet >= _KEEP_ALIVE_S:
            quiet = 0.0
            yield ": waiting\n\n"


def _read(catalog: Catalog, job_id: str, after: int) -> list[JobEvent]:
    with catalog.read() as connection:
        return events.page(connection, job_id, _AT_ONCE, after)[0]
